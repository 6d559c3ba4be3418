// The sandbox's panel: which fault is played, and what came of each try.

import { busyWhile, byId, showMessage, showRefusal } from "./fields.js";
import { announce, t, timeText } from "./texts.js";

const NONE = "none";
const SHOWN = 50;
const GOOD = new Set(["delivered", "receipt_delivered"]);
const OPEN = new Set(["accepted", "unknown"]);

/** How a message came: provider, which try, which fault. */
export function wayOf({ provider, attempt, fault }) {
  const parts = [provider];
  if (attempt > 1) parts.push(t("page.tries_nth", { n: attempt }));
  if (fault !== NONE) parts.push(t(`page.fault_${fault}`));
  return parts.join(" · ");
}

export class Panel {
  #form = byId("fault-form");
  #rows = byId("tries");
  #said = null;

  constructor(socket) {
    this.socket = socket;
    this.#form.addEventListener("submit", (event) => this.#onSubmit(event));
    byId("fault-off").addEventListener("click", () => this.#set(byId("fault-off"), { fault: NONE, count: null }));
    socket.on("sandbox.state", (state) => this.#show(state));
    socket.on("sandbox.tries", ({ tries }) => this.#showTries(tries));
    socket.on("sandbox.tried", (tried) => this.#onTried(tried));
  }

  #onSubmit(event) {
    event.preventDefault();
    const { fault, count } = Object.fromEntries(new FormData(this.#form));
    return this.#set(byId("fault-set"), { fault, count: count ? Number(count) : null });
  }

  #set(button, wanted) {
    return busyWhile(button, async () => {
      showMessage(byId("fault-message"), "quiet");
      try {
        this.#show(await this.socket.ask("sandbox.set", wanted));
      } catch (refusal) {
        showRefusal(byId("fault-message"), refusal);
      }
    });
  }

  #show({ fault, left }) {
    const text = playingText(fault, left);
    const now = byId("fault-now");
    now.dataset.state = fault === NONE ? "live" : "rest";
    now.querySelector("span").textContent = text;
    this.#allowOff(fault !== NONE);
    for (const input of this.#form.elements.fault) input.closest(".fault").classList.toggle("is-playing", input.value === fault);
    if (this.#said !== null && this.#said !== text) announce(text);
    this.#said = text;
  }

  /** A button that is switched off under somebody's finger hands the focus on, so the keyboard does not start anew. */
  #allowOff(allowed) {
    const off = byId("fault-off");
    if (!allowed && document.activeElement === off) byId("fault-set").focus();
    off.disabled = !allowed;
  }

  #showTries(tries) {
    this.#rows.replaceChildren(...tries.map(rowOf));
    this.#drawEmpty();
  }

  /** What was tried while the page was asking may come twice, as messages may. */
  #onTried(tried) {
    const row = rowOf(tried);
    if ([...this.#rows.children].some((shown) => shown.dataset.key === row.dataset.key)) return;
    row.classList.add("is-new");
    this.#rows.prepend(row);
    while (this.#rows.children.length > SHOWN) this.#rows.lastElementChild.remove();
    this.#drawEmpty();
  }

  #drawEmpty() {
    const empty = this.#rows.children.length === 0;
    byId("tries-empty").hidden = !empty;
    byId("tries-box").hidden = empty;
  }
}

function playingText(fault, left) {
  if (fault === NONE) return t("page.faults_off");
  return t(left === null ? "page.faults_now_all" : "page.faults_now", { name: t(`page.fault_${fault}`), n: left });
}

function rowOf(tried) {
  const { mobile, provider, attempt, fault, outcome, at } = tried;
  const row = byId("try-template").content.cloneNode(true).firstElementChild;
  row.dataset.key = JSON.stringify([mobile, provider, attempt, outcome, at]);
  row.querySelector(".try-at").textContent = timeText(at);
  row.querySelector(".try-mobile").textContent = mobile;
  row.querySelector(".try-provider").textContent = attempt > 1 ? `${provider} · ${t("page.tries_nth", { n: attempt })}` : provider;
  row.querySelector(".try-fault").textContent = fault === NONE ? "–" : t(`page.fault_${fault}`);
  const badge = row.querySelector(".outcome");
  badge.textContent = t(`page.outcome_${outcome}`);
  badge.dataset.state = stateOf(outcome);
  return row;
}

function stateOf(outcome) {
  if (GOOD.has(outcome)) return "good";
  return OPEN.has(outcome) ? "open" : "bad";
}
