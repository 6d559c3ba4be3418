// A field for a new password: its rule and its strength while it is typed.

import { byId, setVerdict } from "./fields.js";
import { learnCommon, lengthOf, strengthOf, weaknessOf } from "./password.js";
import { config, t } from "./texts.js";

export class PasswordField {
  /** `mobile()` is the number it must not be made of, or null. `changed()` is called as it is typed. */
  constructor({ input, mobile = () => null, changed = () => {} }) {
    Object.assign(this, { input, mobile, changed });
    this.meter = byId(`${input.id}-strength`);
    input.addEventListener("focus", () => this.#onFocus());
    input.addEventListener("input", () => this.judge());
    input.addEventListener("blur", () => this.#onBlur());
  }

  get value() {
    return this.input.value;
  }

  /** What is wrong with what stands there, or null. */
  fault() {
    const typed = lengthOf(this.value);
    if (!typed) return t("page.password_empty");
    if (typed < config.password_min) return ruleText("page.password_short", typed);
    if (typed > config.password_max) return ruleText("page.password_long", typed);
    const weakness = weaknessOf(this.value, this.mobile());
    return weakness ? t(weakness) : null;
  }

  /** Says how it stands now. */
  judge() {
    this.drawStrength();
    const typed = lengthOf(this.value);
    const fault = typed ? this.fault() : null;
    if (!typed) setVerdict(this.input, "hint", ruleText("page.password_rule", typed));
    else if (fault) setVerdict(this.input, typed < config.password_min ? "hint" : "invalid", fault);
    else setVerdict(this.input, "ok", ruleText("page.password_ok", typed));
    this.changed();
  }

  drawStrength() {
    const level = strengthOf(this.value, this.mobile());
    this.meter.dataset.level = level;
    this.meter.querySelector("span").textContent = level ? t(`page.strength_${level}`) : "";
  }

  async #onFocus() {
    if (!(await learnCommon()) || !this.value) return;
    if (document.activeElement === this.input) this.judge();
    else this.#onBlur();
  }

  #onBlur() {
    if (this.value && this.fault()) setVerdict(this.input, "invalid", this.fault());
  }
}

function ruleText(key, typed) {
  const { password_min: min, password_max: max } = config;
  return t(key, { min, max, n: typed, missing: min - typed, extra: typed - max });
}
