// The number field: what is said as each key is typed, and whether the number is free.

import { callWithCaptcha } from "./captcha.js";
import { byId, setVerdict } from "./fields.js";
import { canonical, hasPrefix, judge } from "./mobile.js";
import { announce, t, waitText } from "./texts.js";

// To wait a little helps with none of these.
const FINAL = new Set(["mobile_invalid", "number_blocked", "address_blocked"]);

export class NumberField {
  #asking = null;
  #again = null;
  status = "hint";
  held = false;

  /**
   * `changed(mobile)` is called when the number or what is known about it changes. With a `socket` the field also asks
   * whether the number is free, and hears when that changes.
   */
  constructor({ input, socket = null, call = null, changed }) {
    Object.assign(this, { input, call, changed });
    input.addEventListener("focus", () => this.#onFocus());
    input.addEventListener("input", () => this.#onInput());
    input.addEventListener("blur", () => this.#onBlur());
    socket?.on("mobile.taken", ({ mobile }) => this.#onPushed({ mobile, available: false }));
    socket?.on("mobile.freed", ({ mobile }) => this.#onPushed({ mobile, available: true }));
  }

  /** The canonical number that stands in the field, or null. */
  get mobile() {
    return canonical(this.input.value);
  }

  get sendable() {
    return this.mobile !== null && this.status !== "taken";
  }

  fill(mobile) {
    this.input.value = mobile;
    this.#onInput();
  }

  /** Says what is wrong with it, if anything is. */
  complain() {
    const { kind, reason, extra, missing } = judge(this.input.value);
    if (kind === "empty") return this.#show("invalid", t("page.mobile_empty"));
    if (kind === "partial") this.#show("invalid", t("page.mobile_short", { n: missing }));
    if (kind === "wrong") this.#show("invalid", t(reason, { n: extra }));
  }

  /** Asks whether the number is free; the socket watches it from then on. */
  async check() {
    const { mobile } = this;
    if (!this.call || !mobile || this.#asking === mobile) return;
    clearTimeout(this.#again);
    this.#asking = mobile;
    try {
      this.#onChecked(await callWithCaptcha(this.call, "mobile.check", { mobile }));
    } catch (refusal) {
      this.#onRefused(mobile, refusal);
    } finally {
      if (this.#asking === mobile) this.#asking = null;
    }
  }

  showTaken() {
    this.#show("taken", t("page.mobile_taken"));
  }

  #onFocus() {
    if (!this.input.value && this.status !== "invalid") this.#show("hint", t("page.mobile_hint"));
  }

  #onInput() {
    const { kind, missing, typed, reason, extra } = judge(this.input.value);
    drawDigits(typed);
    if (kind === "empty") this.#show("hint", t("page.mobile_hint"));
    if (kind === "partial") this.#show("hint", t("page.mobile_missing", { n: missing }));
    if (kind === "wrong") this.#show("invalid", t(reason, { n: extra }));
    if (kind !== "valid") return;
    if (!this.call) return this.#show("right", t("page.mobile_right"));
    this.#show("checking", t("page.mobile_checking"));
    this.check();
  }

  #onBlur() {
    const { mobile } = this;
    if (!mobile) return this.input.value && this.complain();
    if (hasPrefix(this.input.value)) this.input.value = mobile;
    return this.check();
  }

  /** While it is held its own registration is under way, and that the number is taken now is no news. */
  #onPushed(answer) {
    if (!this.held) this.#onChecked(answer);
  }

  /** An answer about a number that no longer stands there is ignored. */
  #onChecked({ mobile, available }) {
    if (mobile !== this.mobile) return;
    if (available === null) return this.#show("unknown", t("page.mobile_unknown"));
    if (available) return this.#show("free", t("page.mobile_free"));
    this.showTaken();
  }

  #onRefused(mobile, refusal) {
    if (mobile !== this.mobile) return;
    if (FINAL.has(refusal.code)) return this.#show("invalid", refusal.message);
    const wait = refusal.params?.retry_after;
    const text = wait ? t("page.mobile_wait", { wait: waitText(wait) }) : refusal.message;
    this.#show("unknown", text);
    if (wait) this.#again = setTimeout(() => this.check(), wait * 1000);
  }

  #show(status, text) {
    this.status = status;
    setVerdict(this.input, status, text);
    const ways = byId("mobile-ways");
    if (ways) ways.hidden = status !== "taken";
    for (const part of document.querySelectorAll(`[data-follows=${this.input.id}]`)) part.dataset.state = status;
    const answer = byId("answer");
    if (answer) answer.textContent = t(`page.answer_${status}`);
    announce(text);
    this.changed(this.mobile);
  }
}

function drawDigits(typed) {
  const digits = byId("digits");
  if (!digits) return;
  digits.dataset.typed = typed;
  [...digits.children].forEach((digit, place) => digit.classList.toggle("on", place < typed));
}
