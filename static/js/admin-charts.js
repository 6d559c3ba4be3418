// Four charts over time. Counts come as they are; here they become rates.

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { byId } from "./fields.js";
import { config, t } from "./texts.js";

const HEIGHT = 190;
const COLOURS = ["--jade", "--chart-2", "--bad", "--chart-4", "--chart-5"];
const REASONS_MAX = 4;
const sum = (counts = {}, what) => Object.values(counts).reduce((all, one) => all + (one[what] ?? 0), 0);

/** Each chart: its lines by name, per second or per minute. */
const LINES = {
  checks: { per: 1, lines: () => [["checks", (point) => point.checks ?? 0]] },
  sms: {
    per: 60,
    lines: (points) => [
      ["sends", (point) => point.sends ?? 0],
      ...deliveredOf(points),
      ["failed", (point) => sum(point.sms, "failed")],
    ],
  },
  people: {
    per: 60,
    lines: () => [
      ["registrations", (point) => point.registrations ?? 0],
      ["logins", (point) => point.logins ?? 0],
    ],
  },
  refusals: { per: 60, lines: reasonsOf },
};

export class Charts {
  #plots = new Map();
  #points = [];
  #stepS = 5;
  #range = "15m";

  constructor({ onRange }) {
    for (const button of document.querySelectorAll("[data-range]")) {
      button.addEventListener("click", () => onRange(button.dataset.range));
    }
    const redraw = () => { this.#forget(); this.#draw(); };
    new ResizeObserver(() => this.#resize()).observe(byId("chart-checks"));
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  }

  show({ range, step_s, points }) {
    [this.#range, this.#stepS, this.#points] = [range, step_s, points];
    for (const button of document.querySelectorAll("[data-range]")) {
      button.setAttribute("aria-pressed", String(button.dataset.range === range));
    }
    this.#forget();
    this.#draw();
  }

  /** Five more seconds. In a longer range they go to the point that they belong to. */
  add(point) {
    const at = Math.floor(point.at / this.#stepS) * this.#stepS;
    const place = this.#points.findIndex((one) => one.at === at);
    if (this.#range === "15m") {
      if (place >= 0) this.#points[place] = point;
      else this.#points = [...this.#points.slice(1), point];
    } else if (place >= 0) this.#points[place] = merged(this.#points[place], point);
    else this.#points = [...this.#points.slice(1), { ...point, at }];
    this.#draw();
  }

  #draw() {
    for (const name of Object.keys(LINES)) this.#drawOne(name);
  }

  #drawOne(name) {
    const { per, lines } = LINES[name];
    const found = lines(this.#points);
    const labels = found.map(([label]) => label).join();
    // The last point of the range is still being counted.
    const points = this.#points.slice(0, -1);
    const data = [points.map((point) => point.at), ...found.map(([, of]) => points.map((point) => round((of(point) * per) / this.#stepS)))];
    const empty = !data.slice(1).some((line) => line.some(Boolean));
    byId(`chart-${name}`).querySelector(".none").hidden = !empty;
    byId(`chart-${name}`).querySelector(".plot").classList.toggle("faint", empty);
    const known = this.#plots.get(name);
    if (known?.labels === labels) return known.plot.setData(data);
    known?.plot.destroy();
    const place = byId(`chart-${name}`).querySelector(".plot");
    this.#plots.set(name, { labels, plot: new uPlot(optionsOf(place, found, name), data, place) });
  }

  #forget() {
    for (const { plot } of this.#plots.values()) plot.destroy();
    this.#plots.clear();
  }

  #resize() {
    for (const [name, { plot }] of this.#plots) {
      plot.setSize({ width: widthOf(byId(`chart-${name}`).querySelector(".plot")), height: HEIGHT });
    }
  }
}

const round = (value) => Math.round(value * 100) / 100;
const widthOf = (place) => Math.max(240, place.clientWidth);

/** What was delivered, of each provider where there are several. */
function deliveredOf(points) {
  const names = [...new Set(points.flatMap(({ sms = {} }) => Object.keys(sms)))].filter(Boolean).slice(0, 3);
  if (names.length < 2) return [["delivered", (point) => sum(point.sms, "delivered")]];
  return names.map((name) => [`delivered ${name}`, (point) => point.sms?.[name]?.delivered ?? 0]);
}

/** `checks`, or `delivered` and a provider; a refusal is called by its code. */
function labelText(label, name) {
  if (name === "refusals" && label !== "other") return label;
  const [what, of] = label.split(" ");
  return of ? t("ops.line_of", { what: t(`ops.line_${what}`), name: of }) : t(`ops.line_${what}`);
}

/** The reasons that stand out in this range, the rest as one line. */
function reasonsOf(points) {
  const totals = {};
  for (const { refusals = {} } of points) {
    for (const [code, count] of Object.entries(refusals)) totals[code] = (totals[code] ?? 0) + count;
  }
  const first = Object.entries(totals).sort(([, one], [, two]) => two - one).map(([code]) => code).slice(0, REASONS_MAX);
  const rest = ({ refusals = {} }) => Object.entries(refusals).reduce((all, [code, count]) => all + (first.includes(code) ? 0 : count), 0);
  return [...first.map((code) => [code, (point) => point.refusals?.[code] ?? 0]), ["other", rest]];
}

function merged(one, two) {
  if (typeof one === "number" && typeof two === "number") return one + two;
  const names = new Set([...Object.keys(one ?? {}), ...Object.keys(two ?? {})]);
  const whole = Object.fromEntries([...names].map((name) => [name, one?.[name] === undefined ? two[name] : two?.[name] === undefined ? one[name] : merged(one[name], two[name])]));
  return "at" in (one ?? {}) ? { ...whole, at: one.at } : whole;
}

function optionsOf(place, lines, name) {
  const style = getComputedStyle(document.documentElement);
  const colour = (variable) => style.getPropertyValue(variable).trim();
  const axis = { stroke: colour("--ink-soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  const rate = (value) => (value === null || value === undefined ? "–" : new Intl.NumberFormat(config.lang).format(value));
  return {
    width: widthOf(place),
    height: HEIGHT,
    cursor: { y: false, points: { size: 6 } },
    legend: { live: true },
    scales: { y: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] } },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map(clock), space: 70 },
      { ...axis, size: 46, values: (_, ticks) => ticks.map(rate) },
    ],
    series: [
      { label: t("ops.time"), value: (_, seconds) => (seconds === null ? "–" : new Date(seconds * 1000).toLocaleTimeString("en-GB")) },
      ...lines.map(([label], place) => ({
        label: labelText(label, name),
        stroke: colour(COLOURS[place]),
        width: 2,
        fill: lines.length === 1 ? `${colour(COLOURS[place])}22` : undefined,
        value: (_, value) => rate(value),
        points: { show: false },
      })),
    ],
  };
}
