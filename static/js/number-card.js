// The number of one's account: changed by a code to each of the two, or, where the old one cannot be asked any more, by
// a code to the new one and a wait.

import { callWithCaptcha } from "./captcha.js";
import { CodeField } from "./code-field.js";
import { busyWhile, byId, setVerdict, showFaults, showMessage, showRefusal } from "./fields.js";
import { NumberField } from "./number.js";
import { dateText, t } from "./texts.js";

const form = byId("mobile-form");
const line = byId("mobile-message");
const { mobile_password: password } = form.elements;

export class NumberCard {
  #way = "change";
  #codes = null;

  /** `moved()` is called when the account has another number, `asked()` when it is going to have one. */
  constructor({ session, moved, asked }) {
    Object.assign(this, { session, moved, asked });
    form.addEventListener("submit", (event) => this.#onSubmit(event));
    byId("mobile-way").addEventListener("click", () => this.#onOtherWay());
  }

  /** When the websocket is there: these fields live on it. */
  wire() {
    const { socket, call } = this.session;
    const shared = { socket, call, form, message: line };
    this.oldNumber = new NumberField({ input: form.elements.old_mobile, changed: () => this.#codes?.old.follow() });
    this.newNumber = new NumberField({ input: form.elements.new_mobile, socket, call, changed: () => this.#codes?.new.follow() });
    this.#codes = {
      old: new CodeField({
        ...shared, purpose: "change-old", mobile: () => this.oldNumber.mobile, sendable: () => this.oldNumber.sendable,
      }),
      new: new CodeField({
        ...shared, suffix: "_new", purpose: "change-new", mobile: () => this.newNumber.mobile,
        sendable: () => this.newNumber.sendable, taken: () => this.newNumber.showTaken(),
      }),
    };
  }

  /** The account has this number ("": none). */
  show(mobile) {
    if (!mobile) this.#go("set");
    else if (this.#way === "set") this.#go("change");
  }

  /** The ways are: change, recover (the old number is out of reach), set (there is none). */
  #go(way) {
    this.#way = way;
    byId("mobile-step-old").hidden = way !== "change";
    byId("mobile-way").hidden = way === "set";
    byId("mobile-way").textContent = t(way === "change" ? "page.mobile_lost" : "page.mobile_not_lost");
    byId("mobile-lead").textContent = byId("mobile-lead").dataset[way];
    byId("mobile-submit").textContent = t(way === "recover" ? "page.recover_submit" : "page.mobile_submit");
    for (const input of [form.elements.old_mobile, form.elements.sms_code]) setVerdict(input, "hint");
    showMessage(line, "quiet");
  }

  #onOtherWay() {
    this.#go(this.#way === "change" ? "recover" : "change");
    (this.#way === "change" ? this.oldNumber : this.newNumber).input.focus();
  }

  #onSubmit(event) {
    event.preventDefault();
    const asksOld = this.#way === "change";
    const numbers = asksOld ? [this.oldNumber, this.newNumber] : [this.newNumber];
    for (const number of numbers) number.complain();
    const found = Object.entries({
      sms_code: asksOld ? this.#codes.old.fault() : null,
      sms_code_new: this.#codes.new.fault(),
      mobile_password: password.value ? null : t("page.password_empty"),
    }).filter(([, fault]) => fault);
    if (found.length || numbers.some(({ mobile }) => !mobile)) return showFaults(form, line, Object.fromEntries(found));
    return busyWhile(byId("mobile-submit"), () => this.#move(asksOld));
  }

  async #move(asksOld) {
    showMessage(line, "quiet");
    this.newNumber.held = true;
    try {
      const { sms_code: new_sms_code, transaction: new_transaction } = this.#codes.new.proof;
      const wanted = { password: password.value, new_mobile: this.newNumber.mobile, new_sms_code, new_transaction };
      if (asksOld) await callWithCaptcha(this.session.call, "mobile.change", { ...wanted, ...this.#codes.old.proof });
      const { due_at: due } = asksOld ? {} : await callWithCaptcha(this.session.call, "mobile.recover", wanted);
      await this.#onDone(due);
    } catch (refusal) {
      this.#onRefused(refusal);
    } finally {
      this.newNumber.held = false;
    }
  }

  async #onDone(due) {
    form.reset();
    for (const code of Object.values(this.#codes)) code.clear();
    for (const number of [this.oldNumber, this.newNumber]) number.fill("");
    setVerdict(password, "hint");
    this.#go("change");
    showMessage(line, "good", due ? t("page.recover_asked", { date: dateText(due) }) : t("page.mobile_changed"));
    await (due ? this.asked() : this.moved());
  }

  #onRefused(refusal) {
    if (refusal.code === "mobile_taken") return this.newNumber.showTaken();
    if (refusal.code === "credentials_invalid") return showFaults(form, line, { mobile_password: t("page.password_wrong") });
    if (refusal.code === "sms_code_invalid") {
      const { message } = refusal;
      return showFaults(form, line, this.#way === "change" ? { sms_code: message, sms_code_new: message } : { sms_code_new: message });
    }
    if (refusal.params?.fields) return showFaults(form, line, refusal.params.fields);
    return showRefusal(line, refusal);
  }
}
