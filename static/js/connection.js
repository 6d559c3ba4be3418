// The pill that says how this page is connected.

import { announce, t } from "./texts.js";

/** `fallback`: whether the page can do without a websocket, so that it may say so. */
export function showConnection(socket, { fallback = true } = {}) {
  const pill = document.getElementById("connection");
  let said = null;
  const draw = () => {
    const name = nameOf(socket, fallback);
    const text = t(`page.connection_${name === "connecting" && said ? "again" : name}`);
    pill.dataset.state = socket.state;
    pill.querySelector("span").textContent = text;
    if (said || name === "offline") announce(text);
    if (name !== "connecting") said = name;
  };
  socket.on("state", draw);
  draw();
}

function nameOf({ idle, state }, fallback) {
  if (idle) return "idle";
  return state === "rest" && !fallback ? "again" : state;
}
