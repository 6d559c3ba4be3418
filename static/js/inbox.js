// The development phone: every SMS the sandbox "sent", live, and the panel of its faults.

import { showConnection } from "./connection.js";
import { Panel, wayOf } from "./faults.js";
import { byId } from "./fields.js";
import { PageSocket } from "./socket.js";
import { announce, t, timeText } from "./texts.js";

const COPIED_MS = 1_600;

const list = byId("messages");
const template = byId("message-template");
const socket = new PageSocket("/dev/inbox/ws", { keepAlive: false });

function onSnapshot({ messages }) {
  list.replaceChildren(...messages.map(bubbleOf));
  drawEmpty();
}

/** What arrived while the page was asking may come twice: in the snapshot, and by itself. */
function onMessage(message) {
  if ([...list.children].some((bubble) => bubble.dataset.id === message.id)) return;
  const bubble = bubbleOf(message);
  bubble.classList.add("is-new");
  list.prepend(bubble);
  list.scrollTop = 0;
  drawEmpty();
  announce(t("page.inbox_new", { mobile: message.mobile, code: message.code }));
}

function drawEmpty() {
  byId("inbox-empty").hidden = list.children.length > 0;
}

function bubbleOf(message) {
  const { id, mobile, text, code, at } = message;
  const bubble = template.content.cloneNode(true).firstElementChild;
  bubble.dataset.id = id;
  bubble.querySelector(".bubble-to").textContent = mobile;
  bubble.querySelector("time").textContent = timeText(at);
  bubble.querySelector(".bubble-text").textContent = text;
  bubble.querySelector(".bubble-way").textContent = wayOf(message);
  const copy = bubble.querySelector(".copy");
  copy.hidden = !code;
  copy.dataset.code = code;
  copy.querySelector(".code").textContent = code;
  copy.setAttribute("aria-label", t("page.inbox_copy", { code }));
  copy.addEventListener("click", () => onCopy(copy, code));
  return bubble;
}

async function onCopy(copy, code) {
  await copyText(code, copy);
  copy.dataset.state = "copied";
  copy.querySelector(".copy-word").textContent = t("page.inbox_copied");
  announce(t("page.inbox_copied"));
  setTimeout(() => {
    copy.dataset.state = "ready";
    copy.querySelector(".copy-word").textContent = t("page.inbox_copy_word");
  }, COPIED_MS);
}

/** Without a secure context there is no clipboard; then the code is selected, ready to be copied. */
async function copyText(text, copy) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    window.getSelection().selectAllChildren(copy.querySelector(".code"));
  }
}

new Panel(socket);
showConnection(socket, { fallback: false });
socket.on("inbox.snapshot", onSnapshot);
socket.on("inbox.message", onMessage);
