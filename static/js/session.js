// Being signed in: the access token, which lives in this file's memory only, and the websocket that speaks for it.

import { makeCall } from "./api.js";
import { PageSocket } from "./socket.js";

const RENEW_BEFORE_S = 60;

export class Session {
  #renewing = null;
  #bound = false;
  #leaving = false;
  #told = null;
  token = null;
  until = 0;
  socket = null;

  /**
   * `opened(session)` is called when the session is found and whenever its token is renewed, `ended(reason)` when it is
   * over (reason "" if there never was one), `trouble(refusal)` when that cannot be known now.
   */
  constructor({ opened, ended, trouble }) {
    Object.assign(this, { opened, ended, trouble });
    this.cookieCall = makeCall();
    // Until the websocket speaks for this session, what needs a login goes over REST.
    const bound = { ask: (...asked) => this.socket.ask(...asked) };
    Object.defineProperty(bound, "state", { get: () => (this.#bound ? this.socket.state : "rest") });
    this.plainCall = makeCall(bound, () => this.token);
    setInterval(() => this.#onSecond(), 1000);
  }

  /** As the access token calls it. */
  get username() {
    return claimsOf(this.token).preferred_username;
  }

  get secondsLeft() {
    return Math.max(0, Math.floor((this.until - Date.now()) / 1000));
  }

  /** Asks for something that needs a login; a token that is no longer good is renewed once. */
  call = async (type, data, signal) => {
    try {
      return await this.plainCall(type, data, signal);
    } catch (refusal) {
      if (refusal.code !== "token_invalid" || !(await this.refresh())) throw refusal;
      return this.plainCall(type, data, signal);
    }
  };

  /** A new token for the cookie; true if there is one. Several at once are one request. */
  refresh() {
    this.#renewing ??= this.#refresh().finally(() => { this.#renewing = null; });
    return this.#renewing;
  }

  logOut() {
    return this.leave("logout", () => this.cookieCall("session.logout"));
  }

  /**
   * `act` ends this session, by a request whose answer takes the cookie away. The websocket may hear of the end before;
   * whoever left at that would come back with the cookie of no session.
   */
  async leave(reason, act) {
    [this.#leaving, this.#told] = [true, null];
    try {
      await act();
      this.#end(reason);
    } catch (refusal) {
      if (this.#told === null) throw refusal;
      this.#end(this.#told);
    } finally {
      this.#leaving = false;
    }
  }

  async #refresh() {
    try {
      const { token, expires_in } = await this.cookieCall("session.refresh");
      Object.assign(this, { token, until: Date.now() + expires_in * 1000 });
    } catch (refusal) {
      // A network or server fault says nothing about the session; only a clear no ends it.
      if (refusal.status === 401) this.#end(this.token ? "over" : "");
      else this.trouble(refusal);
      return false;
    }
    this.#listen();
    await this.#bind().catch(() => {});
    this.opened(this);
    return true;
  }

  /** So that this page leaves at once when its session is ended elsewhere. */
  #listen() {
    if (this.socket) return;
    this.socket = new PageSocket("/ws");
    this.socket.on("state", () => this.#onConnection());
    this.socket.on("session.ended", ({ reason }) => this.#onEnded(reason));
  }

  async #bind() {
    if (!this.token || this.socket.state !== "live") return;
    await this.socket.ask("session.authenticate", { token: this.token });
    this.#bound = true;
  }

  /**
   * Whoever was away may have missed the end: then the cookie is no good any more either. While one signs out, a token
   * refused is what was asked for.
   */
  async #onConnection() {
    this.#bound = false;
    try {
      await this.#bind();
    } catch (refusal) {
      if (refusal.code === "token_invalid" && this.token && !this.#leaving) this.refresh();
    }
  }

  #onEnded(reason) {
    if (this.#leaving) this.#told = reason;
    else this.#end(reason);
  }

  #end(reason) {
    const had = this.token !== null || reason === "";
    this.token = null;
    this.#bound = false;
    if (had) this.ended(reason);
  }

  #onSecond() {
    if (this.token && !this.#leaving && this.secondsLeft < RENEW_BEFORE_S) this.refresh();
  }
}

/** Read for its name only; whether it is genuine is the server's affair. */
function claimsOf(token) {
  const base64 = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}
