// What happens, as it happens: newest first, filtered, held on request.

import { alertText, clockText } from "./admin-figures.js";
import { byId } from "./fields.js";
import { t } from "./texts.js";

const KEPT = 400;
const SHOWN = 120;

export class Feed {
  #events = [];
  #held = [];
  #more = 0;
  #paused = false;

  /** `onLook(what)` is called with the transaction or the account that an event is about. */
  constructor({ onLook }) {
    this.onLook = onLook;
    byId("feed-filter").addEventListener("input", () => this.#draw());
    byId("feed-group").addEventListener("change", () => this.#draw());
    byId("feed-pause").addEventListener("click", () => this.#onPause());
  }

  /** What had happened before; the oldest first. */
  start(events) {
    this.#events = events.toReversed();
    this.#draw();
  }

  add(events, more) {
    this.#more += more;
    if (this.#paused) {
      this.#held = [...events.toReversed(), ...this.#held].slice(0, KEPT);
      byId("feed-pause").textContent = t("ops.feed_resume", { n: this.#held.length });
      return;
    }
    this.#events = [...events.toReversed(), ...this.#events].slice(0, KEPT);
    this.#draw();
  }

  #onPause() {
    this.#paused = !this.#paused;
    byId("feed-pause").setAttribute("aria-pressed", String(this.#paused));
    byId("feed-pause").textContent = this.#paused ? t("ops.feed_resume", { n: 0 }) : t("ops.feed_pause");
    const held = this.#held;
    this.#held = [];
    if (!this.#paused) this.add(held.toReversed(), 0);
  }

  #draw() {
    const group = byId("feed-group").value;
    const words = byId("feed-filter").value.trim().toLowerCase();
    const wanted = this.#events
      .filter((event) => group === "all" || groupOf(event.kind) === group)
      .map((event) => [event, textOf(event)])
      .filter(([event, text]) => `${text} ${event.kind} ${event.transaction ?? ""}`.toLowerCase().includes(words));
    byId("feed").replaceChildren(...folded(wanted).slice(0, SHOWN).map((row) => this.#itemOf(row)));
    byId("feed-empty").hidden = wanted.length > 0;
    byId("feed-empty").textContent = this.#events.length ? t("ops.feed_none") : t("ops.feed_empty");
    byId("feed-more").hidden = this.#more === 0;
    byId("feed-more").textContent = t("ops.feed_more", { n: this.#more });
  }

  #itemOf({ event, text, times }) {
    const item = document.createElement("li");
    item.dataset.group = groupOf(event.kind);
    const time = document.createElement("time");
    time.textContent = clockText(event.at);
    const words = document.createElement("span");
    words.textContent = times > 1 ? `${text} ×${times}` : text;
    item.append(time, words);
    const about = event.transaction || event.user;
    if (about) {
      const look = document.createElement("button");
      look.type = "button";
      look.className = "link";
      look.textContent = t("ops.feed_look");
      look.addEventListener("click", () => this.onLook(about));
      item.append(look);
    }
    return item;
  }
}

/** The same thing several times in a row is one line, with the time of the last. */
function folded(events) {
  const rows = [];
  for (const [event, text] of events) {
    const last = rows.at(-1);
    if (last?.text === text && !event.transaction) last.times += 1;
    else rows.push({ event, text, times: 1 });
  }
  return rows;
}

function groupOf(kind) {
  const family = kind.split(".")[0];
  if (["sms", "refused", "admin", "alert"].includes(family)) return family;
  return "account";
}

/** The event in words, and after it what it is about. */
export function textOf(event) {
  const words = t(`ops.event_${event.kind.replaceAll(".", "_")}`);
  const { mobile, provider, reason, operation, code, address, by, about, alert } = event;
  const rest = [mobile, provider, reason && t(`sms.reason.${reason}`), operation, code, address, about, alert && alertText(alert), by];
  return [words, ...rest.filter(Boolean)].join(" · ");
}
