// Looking into one account or one SMS.

import { listRow, smallButton } from "./admin-acts.js";
import { textOf } from "./admin-feed.js";
import { clockText } from "./admin-figures.js";
import { busyWhile, byId, showMessage, showRefusal } from "./fields.js";
import { t } from "./texts.js";

const MASKED = /^1[3-9]\d\*{4}\d{4}$/;
const ID = /^[a-z2-7]{24}$/;
const MOBILE = /^(\+?86|0086)?1[3-9]\d{9}$/;

export class Lookup {
  #form = byId("lookup-form");
  #found = byId("found");
  #last = "";

  constructor({ ask, acts }) {
    Object.assign(this, { ask, acts });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.look(this.#form.lookup.value);
    });
  }

  /** A number, a username or a transaction. */
  look(text) {
    const what = text.trim();
    this.#form.lookup.value = what;
    if (!what) return this.#form.lookup.focus();
    this.#last = what;
    return busyWhile(byId("lookup-submit"), () => this.#look(what));
  }

  async #look(what) {
    const message = byId("lookup-message");
    showMessage(message, "quiet");
    const asked = questionsOf(what).map(([type, data]) => this.ask(type, data));
    const answers = await Promise.allSettled(asked);
    const found = answers.filter(({ status }) => status === "fulfilled").map(({ value }) => value);
    byId("lookup-empty").hidden = true;
    this.#found.replaceChildren(...found.map((one) => (one.user ? this.#accountOf(one) : timelinesOf(one))));
    if (!found.length) {
      const refusal = answers[0].reason;
      if (refusal.code === "not_found") showMessage(message, "bad", t("ops.lookup_nothing"));
      else showRefusal(message, refusal);
    }
    this.#form.scrollIntoView({ block: "nearest" });
  }

  #accountOf({ user, sessions, entries }) {
    const place = section(user.username);
    const facts = [user.mobile, user.role && t(`ops.role_${user.role}`), dateText(user.created_at), t(user.disabled_at ? "ops.account_disabled" : "ops.account_open")];
    place.append(paragraph(facts.filter(Boolean).join(" · ")));
    const buttons = document.createElement("p");
    buttons.className = "acts";
    buttons.append(this.#toggleOf(user));
    if (sessions.length) buttons.append(this.#endOf(user));
    place.append(buttons, heading(t("ops.sessions", { n: sessions.length })));
    place.append(listOf(sessions.map(({ device, address, seen_at }) => [device, address, dateText(seen_at)].filter(Boolean).join(" · "))));
    place.append(heading(t("ops.entries")), listOf(entries.map(entryText)));
    return place;
  }

  #toggleOf({ id, username, disabled_at }) {
    const kind = disabled_at ? "enable" : "disable";
    const button = smallButton(t(`ops.${kind}`));
    button.addEventListener("click", () => this.#act(button, `user.${kind}`, { id }, {
      title: t(`ops.${kind}_title`, { name: username }),
      what: t(`ops.${kind}_what`),
      yes: t(`ops.${kind}`),
      done: t(`ops.${kind}_done`),
    }));
    return button;
  }

  #endOf({ id, username }) {
    const button = smallButton(t("ops.end_sessions"));
    button.addEventListener("click", () => this.#act(button, "user.end_sessions", { id }, {
      title: t("ops.end_title", { name: username }),
      what: t("ops.end_what"),
      yes: t("ops.end_sessions"),
      done: t("ops.end_done"),
    }));
    return button;
  }

  async #act(button, type, data, words) {
    const done = await this.acts.act(button, type, data, words);
    if (done) await this.#look(this.#last);
  }
}

function questionsOf(what) {
  const plain = what.replaceAll(/[ -]/g, "");
  if (MOBILE.test(plain)) return [["monitor.user", { mobile: plain }], ["monitor.timeline", { mobile: plain }]];
  if (MASKED.test(plain)) return [["monitor.timeline", { masked: plain }]];
  if (ID.test(plain)) return [["monitor.user", { id: plain }]];
  return what.includes(".") ? [["monitor.timeline", { transaction: what }]] : [["monitor.user", { username: what }]];
}

function timelinesOf({ transactions }) {
  const place = section(t("ops.timelines", { n: transactions.length }));
  for (const { transaction, parts } of transactions) {
    const name = paragraph(transaction);
    name.className = "mono";
    place.append(name, listOf(parts.map(partText(parts[0].at)), "timeline-parts"));
  }
  return place;
}

const partText = (began) => ({ at, what, about }) => {
  const words = [t(`ops.part_${what}`), what === "queued" ? t(`ops.purpose_${about.replace("-", "_")}`) : about.trim()];
  return [clockText(at), `+${(at - began).toFixed(2)} s`, ...words.filter(Boolean)].join(" · ");
};

const entryText = ({ at, event, address, device, details }) =>
  [dateText(at), textOf({ kind: event }), ...Object.values(details), address].filter(Boolean).join(" · ");

const dateText = (unixSeconds) => new Date(unixSeconds * 1000).toLocaleString("sv-SE").slice(0, 16);

function section(title) {
  const place = document.createElement("section");
  place.className = "found";
  place.append(heading(title));
  return place;
}

function heading(text) {
  const place = document.createElement("h3");
  place.textContent = text;
  return place;
}

function paragraph(text) {
  const place = document.createElement("p");
  place.textContent = text;
  return place;
}

function listOf(texts, name = "") {
  const list = document.createElement("ul");
  list.className = `rows plain ${name}`;
  list.append(...texts.map((text) => listRow(text).row));
  if (!texts.length) list.append(listRow("–").row);
  return list;
}
