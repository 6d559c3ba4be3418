// The profile: what is changed is saved by itself, field by field, and can be taken back for a while.

import { byId, setVerdict, showMessage, showRefusal } from "./fields.js";
import { announce, t } from "./texts.js";

const FIELDS = ["name", "age", "sex", "active", "description"];
const NAME_MAX = 32;
const AGE_MAX = 100;
const DESCRIPTION_MAX = 200;
const UNDO_MS = 12_000;

export class Profile {
  #form = byId("profile-form");
  #message = byId("profile-message");
  #saved = byId("profile-saved");
  #undo = byId("profile-undo");
  #stored = null;
  #former = null;
  #saving = false;
  #timer = null;

  /** `call` asks the server; `shown(profile)` hears what it answers. */
  constructor({ call, shown }) {
    Object.assign(this, { call, shown });
    for (const name of ["name", "age", "description"]) {
      const input = this.#form.elements[name];
      input.addEventListener("input", () => this.#judge(name));
      input.addEventListener("change", () => this.#save());
    }
    for (const input of [...this.#form.elements.sex, this.#form.elements.active]) {
      input.addEventListener("change", () => this.#save());
    }
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
    this.#undo.addEventListener("click", () => this.#onUndo());
  }

  async load() {
    this.#take(await this.call("profile.get"));
  }

  /** What stands in the form, as the server wants it. */
  #typed() {
    const { name, age, sex, active, description } = this.#form.elements;
    const years = age.value.trim();
    return {
      name: name.value.trim(),
      age: years === "" ? null : /^[0-9]{1,3}$/.test(years) ? Number(years) : years,
      sex: Number(sex.value),
      active: active.checked,
      description: description.value.trim(),
    };
  }

  /** What stands there and is not stored. */
  #changes() {
    const typed = this.#typed();
    return Object.fromEntries(FIELDS.filter((name) => typed[name] !== this.#stored[name]).map((name) => [name, typed[name]]));
  }

  #faultOf(name) {
    const typed = this.#typed();
    if (name === "name") {
      const length = [...typed.name].length;
      return length >= 1 && length <= NAME_MAX ? null : t("field.name_length", { max: NAME_MAX });
    }
    if (name === "age") {
      return typed.age === null || (Number.isInteger(typed.age) && typed.age <= AGE_MAX) ? null : t("field.age");
    }
    if (name !== "description") return null;
    if ([...typed.description].length > DESCRIPTION_MAX) return t("field.too_long", { max: DESCRIPTION_MAX });
    return !typed.active && !typed.description ? t("field.description_needed") : null;
  }

  #judge(name) {
    const fault = this.#faultOf(name);
    setVerdict(this.#form.elements[name], fault ? "invalid" : "hint", fault ?? "");
    if (name === "description") this.#drawCount();
  }

  #drawCount() {
    const length = [...this.#form.elements.description.value.trim()].length;
    byId("description-count").textContent = `${length} / ${DESCRIPTION_MAX}`;
  }

  /** One at a time; what is changed meanwhile goes with the next. */
  async #save() {
    for (const name of ["name", "age", "description"]) this.#judge(name);
    if (["name", "age", "description"].some((name) => this.#faultOf(name))) return this.#show("quiet");
    const changes = this.#changes();
    if (this.#saving || !Object.keys(changes).length) return undefined;
    const former = Object.fromEntries(Object.keys(changes).map((name) => [name, this.#stored[name]]));
    return this.#send(changes, former);
  }

  async #send(changes, former) {
    this.#saving = true;
    this.#show("saving");
    showMessage(this.#message, "quiet");
    try {
      const profile = await this.call("profile.update", changes);
      const untouched = Object.keys(changes).filter((name) => this.#typed()[name] === changes[name]);
      this.#stored = profile;
      this.shown(profile);
      this.#fill(Object.fromEntries(untouched.map((name) => [name, profile[name]])));
      this.#former = former;
      this.#show("saved");
    } catch (refusal) {
      this.#onRefused(refusal);
      return;
    } finally {
      this.#saving = false;
    }
    if (Object.keys(this.#changes()).length) await this.#save();
  }

  #onRefused(refusal) {
    this.#show("quiet");
    const fields = refusal.params?.fields;
    if (!fields) return showRefusal(this.#message, refusal);
    for (const [name, texts] of Object.entries(fields)) {
      if (byId(`${name}-verdict`)) setVerdict(byId(name), "invalid", texts.join(" "));
      else showMessage(this.#message, "bad", texts.join(" "));
    }
    announce(Object.values(fields).flat().join(" "));
  }

  async #onUndo() {
    const former = this.#former;
    if (!former || this.#saving) return;
    const back = Object.fromEntries(Object.keys(former).map((name) => [name, this.#stored[name]]));
    this.#fill(former);
    for (const name of ["name", "age", "description"]) this.#judge(name);
    await this.#send(former, back);
  }

  #take(profile) {
    this.#stored = profile;
    this.#fill(Object.fromEntries(FIELDS.map((name) => [name, profile[name]])));
    this.shown(profile);
  }

  #fill(values) {
    const { name, age, sex, active, description } = this.#form.elements;
    const fill = {
      name: (value) => { name.value = value; },
      age: (value) => { age.value = value ?? ""; },
      sex: (value) => { sex.value = String(value); },
      active: (value) => { active.checked = value; },
      description: (value) => { description.value = value; },
    };
    for (const [field, value] of Object.entries(values)) fill[field](value);
    this.#drawCount();
  }

  #show(state) {
    clearTimeout(this.#timer);
    this.#saved.dataset.state = state;
    this.#saved.querySelector("span").textContent = state === "quiet" ? "" : t(`page.${state}`);
    this.#undo.hidden = state !== "saved";
    if (state !== "saved") return;
    announce(t("page.saved"));
    this.#timer = setTimeout(() => this.#show("quiet"), UNDO_MS);
  }
}
