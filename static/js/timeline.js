// The steps of one SMS, drawn: queued → sending → accepted → delivered, or failed on the way.

import { announce, t, timeText } from "./texts.js";

const STEPS = ["queued", "sending", "accepted", "delivered"];
// These two never say whether the number is known, so they have one step only.
const SILENT = new Set(["login", "reset"]);

export class Timeline {
  #times = {};
  #status = null;

  constructor(element) {
    this.element = element;
    this.list = element.querySelector("ol");
    this.note = element.querySelector(".timeline-note");
  }

  get times() {
    return this.#times;
  }

  /** Starts over, with the times of a reloaded page if there are any. */
  reset(times = {}) {
    this.#times = times;
    this.#status = null;
    this.element.hidden = true;
  }

  /** Notes when a step was reached. Steps told of in one go were reached in one go. */
  remember({ status, server_now }) {
    if (status === "queued" && Object.keys(this.#times).length > 1) this.#times = {};
    this.#times[status] ??= server_now;
    for (const step of STEPS.slice(0, this.#placeOf(status))) this.#times[step] ??= server_now;
  }

  show(state) {
    this.element.hidden = false;
    this.element.dataset.status = state.status;
    for (const item of this.list.children) this.#drawStep(item, state);
    this.#drawNote(state);
    if (state.status !== this.#status) announce(t(`page.step_${state.status}_said`, state));
    this.#status = state.status;
  }

  #drawStep(item, state) {
    const step = item.dataset.step;
    item.hidden = SILENT.has(state.purpose) && step !== "queued";
    item.dataset.state = this.#stateOf(step, state);
    const failed = item.dataset.state === "failed";
    item.querySelector(".step-name").textContent = t(`page.step_${failed ? "failed" : step}`);
    const at = this.#times[failed ? "failed" : step];
    item.querySelector("time").textContent = at && item.dataset.state !== "waiting" ? timeText(at) : "";
  }

  #stateOf(step, { status }) {
    const index = STEPS.indexOf(step);
    const reached = this.#placeOf(status);
    if (index < reached || status === "delivered") return "done";
    if (index > reached) return "waiting";
    return status === "failed" ? "failed" : "active";
  }

  /** Which step a status is at; a failed one was refused while being sent, or accepted and then not delivered. */
  #placeOf(status) {
    if (status !== "failed") return STEPS.indexOf(status);
    return STEPS.indexOf(this.#times.accepted ? "delivered" : "sending");
  }

  #drawNote(state) {
    this.note.textContent = noteOf(state);
    this.note.dataset.state = state.status === "failed" ? "failed" : "normal";
  }
}

function noteOf({ status, mobile, reason, expires_at, attempt, purpose }) {
  if (status === "failed") return reason?.message ?? t("page.sms_failed");
  if (SILENT.has(purpose)) return t("page.sms_if_known");
  if (status === "sending" && attempt > 1) return t("page.sms_again", { n: attempt });
  if (status === "queued" || status === "sending") return t("page.sms_to", { mobile });
  return t("page.sms_valid_until", { mobile, time: timeText(expires_at) });
}
