// The steps of one SMS, drawn: queued → sending → accepted → delivered, or failed on the way.

import { announce, t, timeText } from "./texts.js";

const STEPS = ["queued", "sending", "accepted", "delivered"];
// These never say whether the number is known, so they have one step only.
export const SILENT = new Set(["login", "reset", "claim"]);
// What failed only after the carrier had taken it.
const AFTER_ACCEPTED = new Set(["undelivered"]);
// How long a step may take before the page says that this is nothing to worry about.
const LONG_MS = { queued: 5_000, sending: 5_000, accepted: 20_000 };

export class Timeline {
  #times = {};
  #state = null;
  #said = null;
  #hintTimer = null;

  constructor(element) {
    this.element = element;
    this.list = element.querySelector("ol");
    this.note = element.querySelector(".timeline-note");
    this.hint = element.querySelector(".timeline-hint");
  }

  get times() {
    return this.#times;
  }

  /** Starts over, with the times of a reloaded page if there are any. */
  reset(times = {}) {
    this.#times = times;
    this.#state = this.#said = null;
    this.hide();
  }

  hide() {
    clearTimeout(this.#hintTimer);
    this.element.hidden = true;
  }

  /** Notes when a step was reached. Steps told of in one go were reached in one go. */
  remember(state) {
    const { status, server_now } = state;
    if (status === "queued" && Object.keys(this.#times).length > 1) this.#times = {};
    this.#times[status] ??= server_now;
    for (const step of STEPS.slice(0, placeOf(state))) this.#times[step] ??= server_now;
  }

  /** `state.heardAt` is when it was heard, by this page's clock. */
  show(state) {
    this.#state = state;
    this.element.hidden = false;
    this.element.dataset.status = state.status;
    for (const item of this.list.children) this.#drawStep(item);
    this.note.textContent = noteOf(state);
    this.note.dataset.state = state.status === "failed" ? "failed" : "normal";
    this.#say(state.status === "failed" ? noteOf(state) : saidOf(state));
    this.#drawHint();
  }

  #drawStep(item) {
    const { step } = item.dataset;
    const state = this.#stateOf(step);
    item.hidden = SILENT.has(this.#state.purpose) && step !== "queued";
    item.dataset.state = state;
    // The dot of a step that took several tries says so, then and later.
    const tries = step === "sending" && state !== "waiting" ? this.#state.attempt : 1;
    if (tries > 1) item.dataset.tries = tries;
    else delete item.dataset.tries;
    item.querySelector(".step-name").textContent = nameOf(step, state, tries);
    const at = this.#times[state === "failed" ? "failed" : step];
    item.querySelector("time").textContent = at && state !== "waiting" ? timeText(at) : "";
  }

  #stateOf(step) {
    const { status } = this.#state;
    const index = STEPS.indexOf(step);
    const reached = placeOf(this.#state);
    if (index < reached || status === "delivered") return "done";
    if (index > reached) return "waiting";
    return status === "failed" ? "failed" : "active";
  }

  /** A calm word where a step takes long: now, or as soon as it does. */
  #drawHint() {
    clearTimeout(this.#hintTimer);
    const inMs = this.#patienceMs() - this.#tookMs();
    this.hint.hidden = inMs > 0;
    if (inMs <= 0) return this.#showHint();
    if (inMs < Infinity) this.#hintTimer = setTimeout(() => this.#drawHint(), inMs);
  }

  /** A further try has its own calm word. */
  #patienceMs() {
    const { status, attempt, purpose } = this.#state;
    const saidAlready = SILENT.has(purpose) || (status === "sending" && attempt > 1);
    return saidAlready ? Infinity : LONG_MS[status] ?? Infinity;
  }

  #showHint() {
    const { status } = this.#state;
    const text = t(`page.hint_${status === "accepted" ? "accepted" : "slow"}`);
    if (text === this.hint.textContent) return;
    this.hint.textContent = text;
    announce(text);
  }

  /** Since when it is at this step, by the server's clock, which the page's own carries on. */
  #tookMs() {
    const { status, server_now, heardAt } = this.#state;
    const since = this.#times[status === "accepted" ? "accepted" : "queued"] ?? this.#times[status] ?? server_now;
    return (server_now - since) * 1000 + Date.now() - heardAt;
  }

  #say(text) {
    if (this.#said !== text) announce(text);
    this.#said = text;
  }
}

/** Which step a state is at; the reason says where a failed one stopped, so it looks the same to whoever comes late. */
function placeOf({ status, reason }) {
  if (status !== "failed") return STEPS.indexOf(status);
  return STEPS.indexOf(AFTER_ACCEPTED.has(reason?.code) ? "delivered" : "sending");
}

function nameOf(step, state, tries) {
  if (state === "failed") return t(step === "delivered" ? "page.step_undelivered" : "page.step_failed");
  if (state === "active" && tries > 1) return tryText(tries);
  return t(`page.step_${step}`);
}

function tryText(n) {
  return t(n === 2 ? "page.try_second" : "page.try_nth", { n });
}

function saidOf({ status, attempt }) {
  if (status === "sending" && attempt > 1) return t("page.sms_again");
  return t(`page.step_${status}_said`);
}

function noteOf({ status, mobile, reason, expires_at, attempt, purpose }) {
  if (status === "failed") return reason?.message ?? t("page.sms_failed");
  if (SILENT.has(purpose)) return t("page.sms_if_known");
  if (status === "sending" && attempt > 1) return t("page.sms_again");
  if (status === "queued" || status === "sending") return t("page.sms_to", { mobile });
  return t("page.sms_valid_until", { mobile, time: timeText(expires_at) });
}
