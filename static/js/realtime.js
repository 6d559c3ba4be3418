// The page of the websocket: frames to copy, and a console that sends them over a connection of its own.

import { byId } from "./fields.js";
import { announce, t, timeText, withLanguage } from "./texts.js";

const COPIED_MS = 1_600;
const SHOWN_MAX = 60;

const box = byId("console");
const frame = byId("console-frame");
const log = byId("console-log");
let socket = null;

async function onCopy(button) {
  const code = frameOf(button);
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    return window.getSelection().selectAllChildren(code);  // Without HTTPS there is no clipboard.
  }
  const word = button.firstChild;
  word.data = t("page.realtime_copied");
  announce(t("page.realtime_copied"));
  setTimeout(() => (word.data = t("page.realtime_copy")), COPIED_MS);
}

function onTry(button) {
  frame.value = frameOf(button).textContent;
  box.open = true;
  frame.focus({ preventScroll: true });
  box.scrollIntoView({ block: "nearest" });
}

function frameOf(button) {
  return button.closest(".frame").querySelector("code");
}

function onSend(event) {
  event.preventDefault();
  const text = oneLine(frame.value);
  whenOpen(() => {
    socket.send(text);
    show("sent", text);
  });
}

/** A frame is sent as it was typed, unless it is JSON; then without its line breaks. */
function oneLine(text) {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
}

function whenOpen(send) {
  if (socket?.readyState === WebSocket.OPEN) return send();
  if (socket?.readyState === WebSocket.CONNECTING) return socket.addEventListener("open", send, { once: true });
  socket = new WebSocket(`${location.origin.replace("http", "ws")}${withLanguage("/ws")}`);
  socket.addEventListener("open", () => drawState("live", "page.realtime_console_open"));
  socket.addEventListener("open", send, { once: true });
  socket.addEventListener("message", ({ data }) => show("received", data));
  socket.addEventListener("close", ({ code }) => onClose(code));
}

function onClose(code) {
  drawState("idle", "page.realtime_console_idle");
  show("closed", t("page.realtime_console_closed", { code }));
}

function drawState(state, key) {
  byId("console-state").dataset.state = state;
  byId("console-state").textContent = t(key);
}

function show(kind, text) {
  const line = document.createElement("p");
  const code = document.createElement("code");
  line.dataset.kind = kind;
  line.append(timeText(Date.now() / 1000), code);
  code.textContent = text;
  log.append(line);
  while (log.children.length > SHOWN_MAX) log.firstChild.remove();
  log.scrollTop = log.scrollHeight;
}

for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", () => onCopy(button));
for (const button of document.querySelectorAll("[data-try]")) button.addEventListener("click", () => onTry(button));
byId("console-form").addEventListener("submit", onSend);
byId("console-clear").addEventListener("click", () => log.replaceChildren());
