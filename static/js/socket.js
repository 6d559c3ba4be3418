// The page's websocket: ask and get the answer, hear what is pushed, reconnect and say so.

import ReconnectingWebSocket from "../vendor/partysocket/ws.js";
import { t, withLanguage } from "./texts.js";

const ASK_TIMEOUT_MS = 8_000;
const HEARTBEAT_MS = 25_000;
const IDLE = 4408;
const SESSION_ENDED = 4401;
const PAUSE_MS = { 4429: 30_000 };
const ACTIVITY = ["pointerdown", "keydown", "focusin"];

/** An answer that says no; the same whether it came over the websocket or over REST. */
export class Refusal extends Error {
  constructor({ code, message, params = {}, request_id = null, status = null }) {
    super(message);
    Object.assign(this, { code, params, request_id, status });
  }
}

export const connectionLost = () =>
  new Refusal({ code: "connection_lost", message: t("page.network_error") });

/** States: connecting, live, rest (no websocket for now; plain requests instead), offline. */
export class PageSocket {
  #ws;
  #asked = new Map();
  #listeners = new Map();
  #nextId = 1;
  #lastHeard = 0;
  #heartbeat;
  #resumeTimer = null;
  #closingAfterMs = null;
  #keepAlive;
  state = "connecting";
  idle = false;

  /** `path` may be a function that answers with one, asked anew for each connection. */
  constructor(path, { keepAlive = true } = {}) {
    this.#keepAlive = keepAlive;
    this.#ws = new ReconnectingWebSocket(typeof path === "string" ? socketUrl(path) : async () => socketUrl(await path()), [], {
      maxEnqueuedMessages: 0,
      minReconnectionDelay: 800 + Math.random() * 700,
      maxReconnectionDelay: 15_000,
      reconnectionDelayGrowFactor: 1.6,
      connectionTimeout: 5_000,
      shouldReconnectOnClose: (event) => this.#pauseAfter(event.code) === null,
    });
    this.#ws.addEventListener("open", () => this.#onOpen());
    this.#ws.addEventListener("close", (event) => this.#onClose(event.code));
    this.#ws.addEventListener("message", (event) => this.#onMessage(event.data));
    this.on("server.closing", ({ retry_after }) => this.#onServerClosing(retry_after));
    this.#watchBrowser();
  }

  /** Sends a request; resolves with the reply's data, rejects with a Refusal. */
  ask(type, data = {}) {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      if (!this.#ws.send(JSON.stringify({ type, id, data }))) return reject(connectionLost());
      const timer = setTimeout(() => this.#settle(id)?.reject(connectionLost()), ASK_TIMEOUT_MS);
      this.#asked.set(id, { resolve, reject, timer });
    });
  }

  /** Calls `listener(data)` on each pushed message of that type; "state" is the connection's own. */
  on(type, listener) {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  /** For good. */
  close() {
    this.#ws.close();
  }

  #emit(type, data) {
    for (const listener of this.#listeners.get(type) ?? []) listener(data);
  }

  #enter(state, { idle = false } = {}) {
    if (state === this.state && idle === this.idle) return;
    Object.assign(this, { state, idle });
    this.#emit("state", state);
  }

  #settle(id) {
    const asked = this.#asked.get(id);
    if (!asked) return null;
    clearTimeout(asked.timer);
    this.#asked.delete(id);
    return asked;
  }

  #onOpen() {
    this.#closingAfterMs = null;
    clearInterval(this.#heartbeat);
    if (!this.#keepAlive) return this.#enter("live");
    this.#ping();
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
  }

  #onMessage(raw) {
    this.#lastHeard = Date.now();
    const { type, id, data } = JSON.parse(raw);
    this.#enter("live");
    const asked = id === null ? null : this.#settle(id);
    if (!asked) return this.#emit(type, data);
    if (type === "error") return asked.reject(new Refusal(data));
    asked.resolve(data);
  }

  #onClose(code) {
    clearInterval(this.#heartbeat);
    for (const id of [...this.#asked.keys()]) this.#settle(id).reject(connectionLost());
    const wasLive = this.state === "live";
    if (!navigator.onLine) return this.#enter("offline");
    // After the end of a session the page goes on as a stranger, and only if somebody uses it.
    if (code === IDLE || code === SESSION_ENDED) return this.#enter("rest", { idle: true });
    this.#enter(wasLive ? "connecting" : "rest");
    const pause = this.#pauseAfter(code);
    if (pause !== null) this.#resumeIn(pause);
  }

  #pauseAfter(code) {
    if (!navigator.onLine || code === IDLE || code === SESSION_ENDED) return Infinity;
    return PAUSE_MS[code] ?? this.#closingAfterMs;
  }

  #resumeIn(ms) {
    clearTimeout(this.#resumeTimer);
    this.#resumeTimer = setTimeout(() => this.#resume(), ms);
  }

  #resume() {
    this.#closingAfterMs = null;
    clearTimeout(this.#resumeTimer);
    this.#ws.reconnect();
  }

  #onServerClosing(seconds) {
    this.#closingAfterMs = (seconds + Math.random()) * 1000;
  }

  #beat() {
    if (Date.now() - this.#lastHeard >= HEARTBEAT_MS - 1000) this.#ping();
  }

  async #ping() {
    try {
      await this.ask("ping");
    } catch {
      if (this.#ws.readyState === WebSocket.OPEN) this.#ws.reconnect();
    }
  }

  #watchBrowser() {
    window.addEventListener("offline", () => {
      this.#ws.close();
      this.#enter("offline");
    });
    window.addEventListener("online", () => {
      this.#enter("connecting");
      this.#resume();
    });
    window.addEventListener("pagehide", () => this.#ws.close());
    window.addEventListener("pageshow", (event) => event.persisted && this.#resume());
    const wake = () => this.idle && this.#wake();
    for (const type of ACTIVITY) window.addEventListener(type, wake, { passive: true });
  }

  #wake() {
    this.#enter("connecting");
    this.#resume();
  }
}

function socketUrl(path) {
  const url = new URL(withLanguage(path), window.location.href);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}
