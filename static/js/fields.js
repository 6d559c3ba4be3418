// Fields and messages of a form: verdicts, errors at their field, show and hide, waits that count down.

import { announce, config, fill, t, waitText } from "./texts.js";

const WAIT_PLACE = /%\(retry_after\)s ?(?:秒|s\b|seconds)/;
const BAD = new Set(["invalid", "taken"]);

export const byId = (id) => document.getElementById(id);

/** The line under a field; a bad state also marks the field itself. */
export function setVerdict(input, state, text = "") {
  const line = byId(`${input.id}-verdict`);
  line.dataset.state = state;
  line.textContent = text;
  if (BAD.has(state)) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

/** Shows all faults, each at its field, and moves to the first; what has no field here goes to the form. */
export function showFaults(form, line, faults) {
  const entries = Object.entries(faults).map(([name, texts]) => [form.elements[name], [texts].flat().join(" ")]);
  for (const [input, text] of entries) if (input) setVerdict(input, "invalid", text);
  const homeless = entries.filter(([input]) => !input).map(([, text]) => text);
  if (homeless.length) showMessage(line, "bad", homeless.join(" "));
  const first = [...form.elements].find((input) => input.getAttribute("aria-invalid") === "true");
  first?.focus();
  announce(entries.map(([, text]) => text).join(" "));
}

const counting = new WeakMap();

/** The form's own line: state is bad, good or quiet. */
export function showMessage(line, state, text = "") {
  clearInterval(counting.get(line));
  draw(line, state, text);
  if (text) announce(text);
}

/** A refusal in words; where it names a wait, the true wait counting down. */
export function showRefusal(line, refusal) {
  const text = refusalText(refusal, refusal.params?.retry_after);
  showMessage(line, "bad", text);
  if (refusal.params?.retry_after) countDown(line, refusal);
}

function countDown(line, refusal) {
  const until = Date.now() + refusal.params.retry_after * 1000;
  const timer = setInterval(() => {
    const left = Math.ceil((until - Date.now()) / 1000);
    if (left > 0) return draw(line, "bad", refusalText(refusal, left));
    showMessage(line, "quiet", t("page.wait_over"));
  }, 500);
  counting.set(line, timer);
}

function refusalText(refusal, wait) {
  if (wait) return waitingText(refusal, wait);
  if (refusal.code !== "internal_error" || !refusal.request_id) return refusal.message;
  return t("page.refused_id", { message: refusal.message, id: refusal.request_id });
}

/** The server's message names the wait of when it was written; this names the wait of now. */
function waitingText(refusal, wait) {
  const text = config.texts[`error.${refusal.code}`] ?? "";
  if (!WAIT_PLACE.test(text)) return t("page.refused_wait", { message: refusal.message, wait: waitText(wait) });
  return fill(text.replace(WAIT_PLACE, waitText(wait)), refusal.params);
}

function draw(line, state, text) {
  line.dataset.state = state;
  line.textContent = text;
  line.hidden = !text;
}

/** Buttons that show and hide what stands in a password field. */
export function wireReveals() {
  for (const button of document.querySelectorAll("[data-reveals]")) {
    button.addEventListener("click", () => onReveal(button, byId(button.dataset.reveals)));
  }
}

function onReveal(button, input) {
  const shown = input.type === "password";
  input.type = shown ? "text" : "password";
  button.setAttribute("aria-pressed", String(shown));
  button.setAttribute("aria-label", t(shown ? "page.hide_password" : "page.show_password"));
}

/** While `work` runs the button says so and a second press does nothing. */
export async function busyWhile(button, work) {
  if (button.getAttribute("aria-busy") === "true") return undefined;
  button.setAttribute("aria-busy", "true");
  try {
    return await work();
  } finally {
    button.removeAttribute("aria-busy");
  }
}
