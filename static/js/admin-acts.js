// What operators do: each act asks once, says what came of it, and can be undone where that is possible.

import { ask as confirm } from "./ask.js";
import { clockText, countText, providerFigures } from "./admin-figures.js";
import { busyWhile, byId, showMessage, showRefusal } from "./fields.js";
import { announce, t, waitText } from "./texts.js";

const BLOCKS_CHANGED = new Set(["admin.blocked", "admin.unblocked"]);
const DEAD_EVERY_MS = 4_000;
const DEAD_CHANGED = new Set(["sms.failed", "admin.sms_retried", "admin.sms_dropped"]);

export class Acts {
  #mode = byId("uniqueness");
  #dead = -1;
  #process = "";
  #soon = null;
  #loadedAt = 0;

  constructor({ ask }) {
    this.ask = ask;
    this.#mode.addEventListener("change", () => this.#onMode());
    byId("block-form").addEventListener("submit", (event) => this.#onBlock(event));
    byId("dead-refresh").addEventListener("click", () => busyWhile(byId("dead-refresh"), () => this.#loadDead()));
  }

  start({ process }) {
    this.#process = process;
    this.#loadBlocks();
    this.#loadDead();
  }

  show(tick) {
    if (document.activeElement !== this.#mode) this.#mode.value = tick.uniqueness;
    this.#mode.dataset.now = tick.uniqueness;
    keepRows(byId("providers"), Object.entries(tick.providers), ([name]) => name, (row, one) => this.#fillProvider(row, one, tick.quarter ?? {}));
    keepRows(byId("processes"), tick.processes, ({ id }) => id, (row, one) => this.#fillProcess(row, one, tick.server_now));
    if (tick.dead !== this.#dead) this.#loadDeadSoon();
    this.#dead = tick.dead;
  }

  /** Somebody else may have done it. */
  onEvents(events) {
    if (events.some(({ kind }) => BLOCKS_CHANGED.has(kind))) this.#loadBlocks();
    if (events.some(({ kind }) => DEAD_CHANGED.has(kind))) this.#loadDeadSoon();
  }

  /** Asks once, acts, and says what came of it. True if it was done. */
  async act(button, type, data, { title, what, yes, done, line = byId("act-message") }) {
    if (!(await confirm(title, what, yes))) return false;
    return busyWhile(button, async () => {
      try {
        await this.ask(type, data);
        showMessage(line, "good", done);
        return true;
      } catch (refusal) {
        showRefusal(line, refusal);
        return false;
      }
    });
  }

  #fillProvider(row, [name, state], quarter) {
    const { accepted, delivered, failed, classes, answers } = providerFigures(quarter, name);
    const failures = [countText(failed), classes && `(${classes})`].filter(Boolean).join(" ");
    cells(row, [name, t(`ops.provider_${state}`), countText(accepted), countText(delivered), failures, answers], [2, 3]);
    row.cells[1].dataset.state = state;
    const paused = state === "paused";
    const button = actButton(row, paused ? t("ops.resume") : t("ops.pause"));
    button.onclick = () => this.act(button, paused ? "provider.resume" : "provider.pause", { name }, {
      title: t(paused ? "ops.resume_title" : "ops.pause_title", { name }),
      what: t(paused ? "ops.resume_what" : "ops.pause_what"),
      yes: paused ? t("ops.resume") : t("ops.pause"),
      done: t(paused ? "ops.resume_done" : "ops.pause_done", { name }),
    });
  }

  #fillProcess(row, { id, host, pid, pages, checks_s, cpu, lag_ms, started_at, draining }, now) {
    const up = draining ? t("ops.draining") : waitText(now - started_at);
    cells(row, [`${host}:${pid}`, countText(pages), countText(checks_s), `${Math.round(cpu * 100)} %`, t("ops.ms", { n: countText(lag_ms) }), up], [1, 2, 3, 4]);
    row.classList.toggle("here", id === this.#process);
    const button = actButton(row, t("ops.drain"));
    button.disabled = draining;
    button.onclick = () => this.act(button, "process.drain", { id }, {
      title: t("ops.drain_title", { name: `${host}:${pid}` }),
      what: t("ops.drain_what"),
      yes: t("ops.drain"),
      done: t("ops.drain_done"),
    });
  }

  async #onMode() {
    const mode = this.#mode.value;
    const done = await this.act(this.#mode, "uniqueness.set", { mode }, {
      title: t("ops.uniqueness_title", { mode: this.#mode.selectedOptions[0].textContent }),
      what: t(`ops.uniqueness_what_${mode}`),
      yes: t("ops.uniqueness_yes"),
      done: t("ops.uniqueness_done"),
    });
    if (!done) this.#mode.value = this.#mode.dataset.now;
  }

  async #onBlock(event) {
    event.preventDefault();
    const form = byId("block-form");
    const [kind, value, minutes] = [form.kind.value, form.value.value.trim(), Number(form.minutes.value)];
    const message = byId("block-message");
    if (!value) {
      showMessage(message, "bad", t("ops.block_value"));
      return form.value.focus();
    }
    const done = await this.act(byId("block-submit"), "block.add", { kind, value, minutes }, {
      title: t("ops.block_title", { value }),
      what: t(`ops.block_what_${kind}`),
      yes: t("ops.block_submit"),
      done: t("ops.block_done"),
      line: message,
    });
    if (!done) return;
    form.value.value = "";
    this.#loadBlocks();
  }

  async #loadBlocks() {
    try {
      this.#showBlocks((await this.ask("block.list")).blocks);
    } catch (refusal) {
      showRefusal(byId("block-message"), refusal);
    }
  }

  #showBlocks(blocks) {
    byId("blocks-empty").hidden = blocks.length > 0;
    byId("blocks").replaceChildren(...blocks.map((block) => this.#blockRow(block)));
  }

  #blockRow({ kind, value, key, until, by }) {
    const words = [t(`ops.block_${kind}`), value, t("ops.until", { at: new Date(until * 1000).toLocaleString("sv-SE").slice(0, 16) }), by];
    const { row, add } = listRow(words.join(" · "));
    const button = add(t("ops.unblock"));
    button.addEventListener("click", async () => {
      const done = await this.act(button, "block.remove", { kind, value: key }, {
        title: t("ops.unblock_title", { value }),
        what: t("ops.unblock_what"),
        yes: t("ops.unblock"),
        done: t("ops.unblock_done"),
        line: byId("block-message"),
      });
      if (done) this.#loadBlocks();
    });
    return row;
  }

  /** At once, but not more often than every few seconds: an incident must not use up what one may ask. */
  #loadDeadSoon() {
    if (this.#soon) return;
    const wait = Math.max(0, this.#loadedAt + DEAD_EVERY_MS - Date.now());
    this.#soon = setTimeout(() => { this.#soon = null; this.#loadDead(); }, wait);
  }

  async #loadDead() {
    this.#loadedAt = Date.now();

    try {
      const { jobs } = await this.ask("sms.dead");
      byId("dead-empty").hidden = jobs.length > 0;
      byId("dead").replaceChildren(...jobs.map((job) => this.#deadRow(job)));
    } catch {
      announce(t("page.network_error"));
    }
  }

  #deadRow({ job, at, reason, age_s, attempt }) {
    const why = reason.includes(" ") ? reason : t(`sms.reason.${reason}`);
    const { row, add } = listRow([clockText(at), why, t("ops.dead_tries", { n: attempt, s: waitText(age_s) })].join(" · "));
    for (const act of ["retry", "drop"]) {
      const button = add(t(`ops.${act}`));
      button.addEventListener("click", async () => {
        await this.act(button, `sms.${act}`, { job }, {
          title: t(`ops.${act}_title`),
          what: t(`ops.${act}_what`),
          yes: t(`ops.${act}`),
          done: t(`ops.${act}_done`),
        });
        this.#loadDead();
      });
    }
    return row;
  }
}

/** Rows that stay where they are while their figures change, so that nothing jumps under a finger. */
function keepRows(body, items, keyOf, fill) {
  const known = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  const rows = items.map((item) => {
    const key = keyOf(item);
    const row = known.get(key) ?? document.createElement("tr");
    row.dataset.key = key;
    fill(row, item);
    return row;
  });
  if (rows.length !== body.rows.length || rows.some((row, place) => body.rows[place] !== row)) body.replaceChildren(...rows);
}

function cells(row, texts, numbers) {
  texts.forEach((text, place) => {
    const cell = row.cells[place] ?? row.insertCell();
    if (cell.textContent !== text) cell.textContent = text;
    cell.classList.toggle("number", numbers.includes(place));
  });
}

function actButton(row, text) {
  let button = row.querySelector("button");
  if (!button) {
    const cell = row.insertCell();
    cell.className = "act";
    button = smallButton(text);
    cell.append(button);
  }
  if (button.textContent !== text) button.textContent = text;
  return button;
}

export function smallButton(text) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "button second small", textContent: text });
  button.dataset.act = "";
  return button;
}

export function listRow(text) {
  const row = document.createElement("li");
  const words = document.createElement("span");
  words.textContent = text;
  row.append(words);
  const add = (name) => {
    const button = smallButton(name);
    row.append(button);
    return button;
  };
  return { row, add };
}
