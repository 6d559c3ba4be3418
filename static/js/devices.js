// Where this account is signed in: listed in words, ended with one touch.

import { ask } from "./ask.js";
import { busyWhile, byId, showMessage, showRefusal } from "./fields.js";
import { t } from "./texts.js";

const LOOK_MS = 30_000;

export class Devices {
  #list = byId("sessions");
  #message = byId("devices-message");
  #others = byId("end-others");

  constructor({ call }) {
    this.call = call;
    this.#others.addEventListener("click", () => this.#onEndOthers());
    setInterval(() => !document.hidden && this.load(), LOOK_MS);
    document.addEventListener("visibilitychange", () => !document.hidden && this.load());
  }

  /** Reads the list anew; one that cannot be read now stays as it was. */
  async load() {
    try {
      this.#show((await this.call("session.list")).sessions);
    } catch (refusal) {
      if (!this.#list.children.length) showRefusal(this.#message, refusal);
    }
  }

  #show(sessions) {
    this.#list.replaceChildren(...sessions.map((session) => this.#rowOf(session)));
    const alone = sessions.length < 2;
    byId("sessions-alone").hidden = !alone;
    this.#others.hidden = alone;
  }

  #rowOf({ id, device, address, seen_at, current }) {
    const row = byId("session-template").content.cloneNode(true).firstElementChild;
    row.querySelector("b").textContent = device;
    row.querySelector(".badge").hidden = !current;
    row.querySelector("p").textContent = [address, current ? t("page.seen_now") : seenText(seen_at)].filter(Boolean).join(" · ");
    const end = row.querySelector("button");
    end.hidden = current;
    end.setAttribute("aria-label", t("page.device_end_this", { device }));
    end.addEventListener("click", () => this.#onEnd(end, id, device));
    return row;
  }

  async #onEnd(button, id, device) {
    const sure = await ask(t("page.device_end_title"), t("page.device_end_what", { device }), t("page.device_end"));
    if (sure) await this.#do(button, "session.end", { id }, t("page.device_ended"));
  }

  async #onEndOthers() {
    const sure = await ask(t("page.devices_end_title"), t("page.devices_end_what"), t("page.devices_end_others"));
    if (sure) await this.#do(this.#others, "session.end_others", {}, t("page.devices_ended"));
  }

  #do(button, type, data, done) {
    return busyWhile(button, async () => {
      try {
        await this.call(type, data);
        showMessage(this.#message, "good", done);
        await this.load();
      } catch (refusal) {
        showRefusal(this.#message, refusal);
      }
    });
  }
}

/** When it was last used, in words; a minute is the finest that is kept. */
function seenText(unixSeconds) {
  const minutes = Math.floor((Date.now() / 1000 - unixSeconds) / 60);
  if (minutes < 2) return t("page.seen_now");
  if (minutes < 60) return t("page.seen_minutes", { n: minutes });
  if (minutes < 48 * 60) return t("page.seen_hours", { n: Math.floor(minutes / 60) });
  return t("page.seen_days", { n: Math.floor(minutes / 1440) });
}
