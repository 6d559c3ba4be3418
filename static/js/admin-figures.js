// Tiles, alerts, funnel and tables: what a tick says, in words and numbers.

import { byId } from "./fields.js";
import { announce, config, t, waitText } from "./texts.js";

const number = new Intl.NumberFormat(config.lang);
const percent = new Intl.NumberFormat(config.lang, { style: "percent", maximumFractionDigits: 1 });
const STEPS = ["accepted", "delivered", "verified"];
const OK = "accepted";
const LATE_MS = 50;
const OLD_S = 10;

export const countText = (value) => number.format(value);
export const secondsText = (value) => (value < 10 ? t("ops.seconds", { s: number.format(Math.round(value * 100) / 100) }) : waitText(value));

export class Figures {
  #told = new Set();

  show(tick) {
    const { quarter = {}, queue, stores, processes } = tick;
    const waiting = queue.waiting + queue.delayed + queue.working;
    const verified = quarter.steps?.verified?.count ?? 0;
    const down = Object.keys(stores).filter((name) => !stores[name]);
    tile("pages", countText(tick.pages));
    tile("checks", countText(tick.checks_s));
    tile("sends", countText(tick.sends_min));
    tile("registrations", countText(tick.registrations_min), t("ops.logins", { n: countText(tick.logins_min) }));
    tile("verified", quarter.sends ? percent.format(Math.min(1, verified / quarter.sends)) : "–", t("ops.last_quarter"));
    tile("queue", countText(waiting), t("ops.oldest", { s: waitText(queue.oldest_s) }), queue.oldest_s > OLD_S);
    tile("lag", t("ops.ms", { n: countText(tick.lag_ms) }), "", tick.lag_ms > LATE_MS);
    tile("budget", percent.format(tick.budget), t("ops.budget_day"), tick.budget >= 0.8);
    tile("stores", down.length ? t("ops.stores_down") : t("ops.stores_up"), down.join(" "), down.length > 0);
    tile("processes", countText(processes.length), t("ops.hosts", { n: new Set(processes.map((one) => one.host)).size }));
    this.#showAlerts(tick.alerts);
    showFunnel(quarter);
  }

  /** Redis does not answer this process, so no picture comes; the last one stays, marked. */
  showDegraded(what) {
    tile("stores", t("ops.stores_down"), what, true);
  }

  #showAlerts(alerts) {
    const items = alerts.map(({ name, since }) => {
      const item = document.createElement("li");
      item.textContent = t("ops.alert_since", { alert: alertText(name), since: clockText(since) });
      return item;
    });
    byId("alerts").replaceChildren(...items);
    const now = new Set(alerts.map(({ name }) => name));
    for (const name of now) if (!this.#told.has(name)) announce(alertText(name));
    this.#told = now;
  }
}

export function clockText(unixSeconds) {
  return new Date(unixSeconds * 1000).toLocaleTimeString("en-GB");
}

export function alertText(name) {
  const [, kind, about] = /^(store|breaker)_(.+)$/.exec(name) ?? [];
  return kind ? t(`ops.alert_${kind}`, { name: about }) : t(`ops.alert_${name}`);
}

function tile(name, value, note = "", bad = false) {
  const place = byId(`tile-${name}`);
  place.querySelector("b").textContent = value;
  place.querySelector("small").textContent = note;
  place.classList.toggle("bad", bad);
}

function showFunnel(quarter) {
  const sends = quarter.sends ?? 0;
  bar("sends", sends, sends, "");
  for (const step of STEPS) {
    const { count = 0, p50 = null, p95 = null } = quarter.steps?.[step] ?? {};
    const times = p50 === null ? "" : t("ops.percentiles", { p50: secondsText(p50), p95: secondsText(p95) });
    bar(step, count, sends, times);
  }
}

function bar(name, count, of, note) {
  const item = byId(`funnel-${name}`);
  item.querySelector("i").style.width = `${of ? Math.min(100, (100 * count) / of) : 0}%`;
  item.querySelector("b").textContent = countText(count);
  item.querySelector("small").textContent = note;
}

/** Accepted, delivered and failed of a provider, from the counts of a stretch of time. */
export function providerFigures(quarter, name) {
  const calls = quarter.calls?.[name] ?? {};
  const failures = Object.entries(calls).filter(([outcome]) => outcome !== OK);
  const { p50 = null, p95 = null } = quarter.waits?.[name] ?? {};
  return {
    answers: p50 === null ? "–" : t("ops.percentiles", { p50: secondsText(p50), p95: secondsText(p95) }),
    accepted: calls[OK] ?? 0,
    delivered: quarter.sms?.[name]?.delivered ?? 0,
    failed: failures.reduce((sum, [, count]) => sum + count, 0),
    classes: failures.map(([outcome, count]) => `${outcome} ${count}`).join(", "),
  };
}
