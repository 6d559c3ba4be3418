// The pill that says how this page is connected.

import { announce, t } from "./texts.js";

export function showConnection(socket) {
  const pill = document.getElementById("connection");
  let said = null;
  const draw = () => {
    const name = socket.idle ? "idle" : socket.state;
    const text = t(`page.connection_${name === "connecting" && said ? "again" : name}`);
    pill.dataset.state = socket.state;
    pill.querySelector("span").textContent = text;
    if (said || name === "offline") announce(text);
    if (name !== "connecting") said = name;
  };
  socket.on("state", draw);
  draw();
}
