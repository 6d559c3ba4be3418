// Letters in a picture, where altcha cannot run: a dialog that asks until they are right, and ends with a pass.

import { busyWhile, byId, setVerdict } from "./fields.js";
import { Refusal } from "./socket.js";
import { t } from "./texts.js";

/** `renew()` gives another offer, `check(answer)` the pass for a right answer. A Refusal if the person gives up. */
export function askPicture(offer, { renew, check }) {
  return new Promise((resolve, reject) => new Picture({ renew, check, resolve, reject }).open(offer));
}

class Picture {
  #dialog = byId("captcha-dialog");
  #image = byId("captcha-picture");
  #input = byId("captcha-answer");
  #id = null;
  #over = new AbortController();

  constructor({ renew, check, resolve, reject }) {
    Object.assign(this, { renew, check, resolve, reject });
    const { signal } = this.#over;
    const on = (target, type, heard) => target.addEventListener(type, heard, { signal });
    on(byId("captcha-form"), "submit", (event) => this.#onSubmit(event));
    on(byId("captcha-another"), "click", () => this.#another());
    on(byId("captcha-cancel"), "click", () => this.#dialog.close());
    on(this.#image, "error", () => this.#complain(t("page.captcha_no_picture")));
    on(this.#input, "input", () => setVerdict(this.#input, "hint"));
    on(this.#dialog, "close", () => this.#onClose());
  }

  open(offer) {
    this.#show(offer);
    setVerdict(this.#input, "hint");
    this.#dialog.showModal();
    this.#input.focus();
  }

  #show({ id, url }) {
    this.#id = id;
    this.#image.src = url;
    this.#input.value = "";
  }

  #complain(text) {
    setVerdict(this.#input, "invalid", text);
    this.#input.focus();
  }

  #onSubmit(event) {
    event.preventDefault();
    const answer = this.#input.value.trim();
    if (!answer) return this.#complain(t("page.captcha_empty"));
    return busyWhile(byId("captcha-confirm"), () => this.#check(answer));
  }

  async #check(answer) {
    try {
      this.resolve(await this.check({ id: this.#id, answer }));
      this.#dialog.close();
    } catch (refusal) {
      if (refusal.code !== "captcha_failed") return this.#complain(refusal.message);
      await this.#renew(() => this.#complain(t("page.captcha_wrong")));
    }
  }

  #another() {
    return busyWhile(byId("captcha-another"), () => this.#renew(() => {
      setVerdict(this.#input, "hint", t("page.captcha_renewed"));
      this.#input.focus();
    }));
  }

  async #renew(then) {
    try {
      this.#show(await this.renew());
      then();
    } catch (refusal) {
      this.#complain(refusal.message);
    }
  }

  /** After a right answer the promise is kept already, and this changes nothing. */
  #onClose() {
    this.#over.abort();
    this.reject(new Refusal({ code: "captcha_cancelled", message: t("page.captcha_failed") }));
  }
}
