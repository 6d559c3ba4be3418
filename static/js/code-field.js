// The field of an SMS code: captcha, sending, countdown, steps, attempts, and what is typed.

import { Captcha, callWithCaptcha } from "./captcha.js";
import { busyWhile, byId, setVerdict, showFaults, showMessage, showRefusal } from "./fields.js";
import { Sms } from "./sms.js";
import { announce, t } from "./texts.js";

export class CodeField {
  /**
   * `suffix` is that of its elements' ids; `mobile()` the number to send to, or null; `sendable()` whether it may be
   * sent to now; `expected()` whether it soon will be; `taken()` is called when the number turns out to be somebody's.
   */
  constructor({ suffix = "", purpose, socket, call, form, message, mobile, sendable, expected = sendable, taken = () => {} }) {
    Object.assign(this, { purpose, call, form, message, mobile, sendable, expected, taken });
    this.input = byId(`sms_code${suffix}`);
    this.button = byId(`send-code${suffix}`);
    this.status = byId(`captcha-status${suffix}`);
    this.captcha = new Captcha(call, purpose, (state) => this.#showCaptcha(state));
    this.sms = new Sms({
      socket, call, purpose, button: this.button, timeline: byId(`sms-timeline${suffix}`),
      attempts: byId(`attempts${suffix}`), changed: () => this.#onSmsChanged(),
    });
    this.button.addEventListener("click", () => this.#onSend());
    this.input.addEventListener("input", () => this.#onInput());
  }

  /** What to send along: the code and its transaction. */
  get proof() {
    return { sms_code: this.input.value, transaction: this.sms.transaction };
  }

  /** What is wrong with what stands there, or null. */
  fault() {
    if (!/^[0-9]{6}$/.test(this.input.value)) return t("page.code_shape");
    return this.sms.transaction ? null : t("page.code_first");
  }

  /** The number, or what is known about it, is another one. */
  follow() {
    this.sms.follow(this.mobile());
  }

  clear() {
    this.sms.forget();
    this.input.value = "";
    setVerdict(this.input, "hint");
  }

  #onSmsChanged() {
    const waiting = this.sms.waiting > 0;
    this.button.disabled = !this.sendable() || waiting;
    if (this.expected() && !waiting) this.captcha.prepare();
    if (this.sms.inTrouble && byId(`${this.input.id}-verdict`).dataset.state === "ok") setVerdict(this.input, "hint");
  }

  #showCaptcha(state) {
    this.status.dataset.state = state;
    this.status.textContent = state === "idle" ? "" : t(`page.captcha_${state}`);
    if (state === "failed" || state === "insecure") announce(this.status.textContent);
  }

  #onSend() {
    return busyWhile(this.button, async () => {
      const mobile = this.mobile();
      showMessage(this.message, "quiet");
      try {
        await this.#sendTo(mobile);
      } catch (refusal) {
        this.#onRefused(mobile, refusal);
      }
    });
  }

  async #sendTo(mobile) {
    const solution = await this.captcha.take();
    const asked = { mobile, purpose: this.purpose, captcha: solution, transaction: this.sms.transaction };
    const state = await callWithCaptcha(this.call, "sms.send", asked);
    this.sms.begin(mobile, state);
    this.input.value = "";
    setVerdict(this.input, "ok", t("page.sms_sent"));
    this.input.focus();
  }

  #onRefused(mobile, refusal) {
    if (refusal.code === "mobile_taken") return this.taken();
    if (refusal.code === "transaction_unknown") this.sms.forget();
    if (refusal.params?.retry_after) this.sms.block(mobile, refusal.params.retry_after);
    if (refusal.params?.fields) return showFaults(this.form, this.message, refusal.params.fields);
    return showRefusal(this.message, refusal);
  }

  #onInput() {
    const digits = this.input.value.replace(/[^0-9]/g, "").slice(0, 6);
    if (digits !== this.input.value) this.input.value = digits;
    setVerdict(this.input, "hint");
  }
}
