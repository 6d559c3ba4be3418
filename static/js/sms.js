// The SMS of this form: its countdown and its steps, kept across a reload, a second tab and a lost connection.

import { LongPoll, WAIT_S } from "./poll.js";
import { announce, t, waitText } from "./texts.js";
import { SILENT, Timeline } from "./timeline.js";

/** Where this browser keeps the SMS of one purpose. */
export const smsKey = (purpose) => `haoma.sms.${purpose}`;

const KEEP_MS = 10 * 60_000;
const LATE_TICK_MS = 2_500;

export class Sms {
  #state = null;
  #mobile = null;
  #field = null;
  #blocked = new Map();
  #remaining = 0;
  #timer = null;
  #look = null;
  #poll = new LongPoll({
    ask: (signal) => this.#askForNews(signal),
    heard: (state) => this.#onState(state),
    over: (refusal) => this.#isOver(refusal),
  });

  /** `changed()` is called whenever `waiting` or `transaction` may have changed. */
  constructor({ socket, call, purpose, button, timeline, attempts, changed }) {
    Object.assign(this, { socket, call, purpose, button, attempts, changed });
    this.timeline = new Timeline(timeline);
    socket.on("sms.state", (state) => this.#onState(state));
    socket.on("countdown.tick", (tick) => this.#onTick(tick));
    socket.on("state", () => this.#onConnection());
  }

  /** The transaction of the number in the field, if it has one. */
  get transaction() {
    return this.#isCurrent() ? this.#state.transaction : undefined;
  }

  /** Whether this SMS met with trouble and is not on its way to the phone now. */
  get inTrouble() {
    if (!this.#isCurrent()) return false;
    const { status, attempt } = this.#state;
    return status === "failed" || (status === "sending" && attempt > 1);
  }

  /** Seconds until this number may be sent to (again). */
  get waiting() {
    return this.#isCurrent() && !this.#openAnyway() ? Math.max(this.#remaining, this.#blockedS()) : this.#blockedS();
  }

  /** The number in the field is now this one (null: none). */
  follow(mobile) {
    this.#field = mobile;
    this.#draw();
  }

  /** An SMS was queued for this number. */
  begin(mobile, state) {
    this.#mobile = mobile;
    this.timeline.reset();
    this.#poll.stop();
    this.#take(state);
    announce(t("page.sms_sent_said", { wait: waitText(this.#remaining) }));
  }

  /** The server says this number must wait, though this page has no countdown for it. */
  block(mobile, seconds) {
    this.#blocked.set(mobile, Date.now() + seconds * 1000);
    this.#run();
  }

  /** Picks up the SMS of before the reload, or of another tab; resolves with its number or null. */
  async restore() {
    const kept = this.#kept();
    if (!kept) return null;
    try {
      const state = await this.call("sms.watch", { transaction: kept.transaction });
      this.#mobile = kept.mobile;
      this.timeline.reset(kept.times);
      this.#take(state, { timely: false });
      return kept.mobile;
    } catch (refusal) {
      this.#isOver(refusal);
      return null;
    }
  }

  /** Asks how it stands now: after a reconnect, or when a tick is overdue. */
  async resync({ timely = false } = {}) {
    if (!this.#state) return;
    const { transaction } = this.#state;
    try {
      const state = await this.call("sms.watch", { transaction });
      this.#onState(state, { timely });
    } catch (refusal) {
      if (!this.#isOver(refusal)) this.#listen();
    }
  }

  forget() {
    this.#state = this.#mobile = null;
    this.#remaining = 0;
    clearTimeout(this.#look);
    this.#poll.stop();
    this.timeline.reset();
    for (const store of [sessionStorage, localStorage]) write(store, this.purpose, null);
    this.#draw();
  }

  /** The number in the field is somebody's now, so its code is good for nothing. */
  giveUp() {
    if (this.#isCurrent()) this.forget();
  }

  #isCurrent() {
    return Boolean(this.#state) && this.#mobile === this.#field;
  }

  #openAnyway() {
    return this.#state.status === "failed" && this.#state.can_resend;
  }

  #blockedS() {
    return Math.max(0, ((this.#blocked.get(this.#field) ?? 0) - Date.now()) / 1000);
  }

  #onState(state, { timely = true } = {}) {
    if (state.transaction !== this.#state?.transaction || state.seq < this.#state.seq) return;
    this.#take(state, { timely });
  }

  /** `timely`: it was heard as it happened, so its time is the step's time. */
  #take(state, { timely = true } = {}) {
    this.#state = { ...state, heardAt: Date.now() };
    this.#remaining = this.#own();
    if (timely) this.timeline.remember(state);
    this.#keep();
    this.#run();
    this.#listen();
  }

  /** What is left by this page's own reckoning, from the two times the server gave. */
  #own() {
    const { resend_at, server_now, heardAt } = this.#state;
    return Math.max(0, Math.ceil(resend_at - server_now - (Date.now() - heardAt) / 1000));
  }

  #onTick({ transaction, remaining, resend_at, server_now }) {
    if (transaction !== this.#state?.transaction) return;
    Object.assign(this.#state, { resend_at, server_now, heardAt: Date.now() });
    this.#setRemaining(remaining);
    this.#listen();
  }

  #setRemaining(seconds) {
    const ended = this.#remaining > 0 && seconds <= 0;
    this.#remaining = seconds;
    this.#draw();
    if (ended && this.#isCurrent()) announce(t("page.resend_ready_said"));
  }

  /** Without a websocket nothing ticks, so the page counts by itself; a refused wait it always counts. */
  #run() {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#count(), 250);
    this.#draw();
  }

  #count() {
    const alone = this.socket.state !== "live" && this.#state;
    if (alone && this.#own() !== this.#remaining) this.#setRemaining(this.#own());
    else if (this.#blockedS() > 0) this.#draw();
    else if (this.#blocked.delete(this.#field)) this.#draw();
  }

  #onConnection() {
    if (!this.#state) return;
    this.#run();
    this.#listen();
    if (this.socket.state === "live") this.resync();
  }

  /** Live, what happens is pushed, and only an overdue tick is looked for; else the server is asked for news. */
  #listen() {
    clearTimeout(this.#look);
    const { state } = this.socket;
    this.#poll.keep(state !== "live" && state !== "offline" && this.#expectsNews());
    const left = this.#state ? this.#own() : 0;
    if (state === "offline" || !(left > 0 || (state === "live" && this.#remaining > 0))) return;
    this.#look = setTimeout(() => this.resync({ timely: true }), left * 1000 + LATE_TICK_MS);
  }

  /** Until it is delivered, while its code is good: even a failed one may arrive after all. */
  #expectsNews() {
    if (!this.#state || this.#state.status === "delivered" || SILENT.has(this.purpose)) return false;
    const { expires_at, server_now, heardAt } = this.#state;
    return expires_at - server_now > (Date.now() - heardAt) / 1000;
  }

  async #askForNews(signal) {
    if (!this.#expectsNews()) this.#poll.stop();
    const { transaction, seq } = this.#state;
    return this.call("sms.watch", { transaction, after: seq, wait: WAIT_S }, signal);
  }

  #isOver({ code }) {
    if (code !== "transaction_unknown") return false;
    this.forget();
    return true;
  }

  #draw() {
    const current = this.#isCurrent();
    this.#drawButton(current);
    if (current) this.timeline.show(this.#state);
    else this.timeline.hide();
    this.#drawAttempts(current ? this.#state.attempts_left : 5);
    this.changed();
  }

  #drawButton(current) {
    const wait = Math.ceil(this.waiting);
    if (wait > 0) this.button.textContent = t("page.resend_in", { wait: waitText(wait) });
    else this.button.textContent = t(current ? "page.resend" : "page.send_code");
    this.button.dataset.state = wait > 0 ? "waiting" : "ready";
  }

  #drawAttempts(left) {
    this.attempts.hidden = left >= 5;
    this.attempts.textContent = left > 0 ? t("page.attempts_left", { n: left }) : t("page.attempts_none");
  }

  /** This tab's own, or what another tab has since begun for the same number (or for this empty form). */
  #kept() {
    const mine = read(sessionStorage, this.purpose);
    const shared = read(localStorage, this.purpose);
    if (!mine || (shared?.mobile === mine.mobile && shared.at > mine.at)) return shared;
    return mine;
  }

  #keep() {
    const { transaction } = this.#state;
    const kept = { transaction, mobile: this.#mobile, times: this.timeline.times, at: Date.now() };
    for (const store of [sessionStorage, localStorage]) write(store, this.purpose, kept);
  }
}

/** Storage may be switched off; then nothing is kept and all else works. */
function read(store, purpose) {
  try {
    const kept = JSON.parse(store.getItem(smsKey(purpose)));
    return kept && Date.now() - kept.at < KEEP_MS ? kept : null;
  } catch {
    return null;
  }
}

function write(store, purpose, kept) {
  try {
    if (kept) store.setItem(smsKey(purpose), JSON.stringify(kept));
    else store.removeItem(smsKey(purpose));
  } catch {
    // Nowhere to keep it.
  }
}
