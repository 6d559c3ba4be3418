// The home page: signed in or not. The access token lives in this file's memory only.

import { makeCall } from "./api.js";
import { busyWhile, byId, showMessage, showRefusal } from "./fields.js";
import { PageSocket } from "./socket.js";
import { announce, config, t } from "./texts.js";

const RENEW_BEFORE_S = 60;

const call = makeCall();
const message = byId("form-message");
let session = null;
let socket = null;

async function refresh() {
  try {
    open(await call("session.refresh"));
  } catch (refusal) {
    onRefreshRefused(refusal);
  }
}

function open({ token, expires_in }) {
  session = { token, until: Date.now() + expires_in * 1000 };
  byId("username").textContent = claimsOf(token).preferred_username;
  show("signed-in");
  drawLife();
  listen();
}

/** So that this page leaves at once when its session is ended elsewhere. */
function listen() {
  if (socket) return bind().catch(() => {});
  socket = new PageSocket("/ws");
  socket.on("state", onConnection);
  socket.on("session.ended", onEnded);
}

async function bind() {
  if (session && socket.state === "live") await socket.ask("session.authenticate", { token: session.token });
}

/** Whoever was away may have missed the end: then the cookie is no good any more either. */
async function onConnection() {
  try {
    await bind();
  } catch (refusal) {
    if (refusal.code === "token_invalid") refresh();
  }
}

function onEnded() {
  if (!session) return;
  close();
  announce(t("page.session_over"));
}

/** A network or server fault says nothing about the session; only a clear no ends it. */
function onRefreshRefused(refusal) {
  if (refusal.status === 401) return close();
  show("trouble");
  showRefusal(byId("trouble-message"), refusal);
}

function close() {
  session = null;
  show("signed-out");
}

function show(id) {
  for (const part of ["loading", "signed-in", "signed-out", "trouble"]) byId(part).hidden = part !== id;
  for (const link of document.querySelectorAll("[data-signed-out]")) link.hidden = id !== "signed-out";
}

/** Read for its name only; whether it is genuine is the server's affair. */
function claimsOf(token) {
  const base64 = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

function drawLife() {
  if (!session) return;
  const left = Math.max(0, Math.floor((session.until - Date.now()) / 1000));
  const clock = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  byId("token-life").textContent = clock;
}

function onSecond() {
  drawLife();
  const due = session && session.until - Date.now() < RENEW_BEFORE_S * 1000;
  if (due && !session.renewing) {
    session.renewing = true;
    refresh();
  }
}

function onLogout() {
  return busyWhile(byId("logout"), async () => {
    try {
      await call("session.logout");
      close();
      announce(t("page.logout_ok"));
      byId("signed-out").querySelector("h1").focus();
    } catch (refusal) {
      showRefusal(message, refusal);
    }
  });
}

async function onRetry() {
  showMessage(byId("trouble-message"), "quiet");
  await busyWhile(byId("retry"), refresh);
}

byId("logout").addEventListener("click", onLogout);
byId("retry").addEventListener("click", onRetry);
setInterval(onSecond, 1000);
if (config.has_session) refresh();
