// Which passwords are too easy to guess, by the server's own rule (server/password_rule.py), and how strong the others
// are.

import { config } from "./texts.js";

const OURS = "haoma";
const ROWS = ["01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm"];
const RUNS = ROWS.flatMap((row) => [row, [...row].reverse().join("")]);
const LONGEST_PATTERN = 4;
const KINDS = [/[a-z]/, /[A-Z]/, /[0-9]/, /[^a-zA-Z0-9]/];

let common = new Set();
let asked = null;

/** Fetches the list of common passwords, once; true if there is news. Without it the server still judges. */
export async function learnCommon() {
  if (common.size) return false;
  asked ??= fetch(config.passwords_url)
    .then((answer) => (answer.ok ? answer.json() : []))
    .catch(() => [])
    .finally(() => { asked = null; });
  common = new Set(await asked);
  return common.size > 0;
}

/** Characters as people count them for the rule: code points after NFC. */
export function lengthOf(password) {
  return [...password.normalize("NFC")].length;
}

/** The key of the text that says why a password will not do, or null. */
export function weaknessOf(password, mobile) {
  const lower = password.normalize("NFC").toLowerCase();
  if (mobile && (lower.includes(mobile) || lower === mobile.slice(-8))) return "field.password_mobile";
  if (new Set(lower).size <= 2) return "field.password_repeated";
  if (isPattern([...lower]) || RUNS.some((run) => run.includes(lower))) return "field.password_run";
  const names = [config.site_name.toLowerCase(), OURS].filter(Boolean);
  const ours = names.some((name) => lower.includes(name) && !/\p{L}/u.test(lower.replaceAll(name, "")));
  if (ours) return "field.password_site";
  return common.has(lower) ? "field.password_common" : null;
}

function isPattern(characters) {
  for (let length = 1; length <= LONGEST_PATTERN; length += 1) {
    const again = (character, place) => character === characters[place % length];
    if (characters.length >= 2 * length && characters.every(again)) return true;
  }
  return false;
}

/** 0 (nothing yet) to 4 (strong). */
export function strengthOf(password, mobile) {
  if (!password) return 0;
  if (weaknessOf(password, mobile)) return 1;
  const kinds = KINDS.filter((kind) => kind.test(password)).length;
  const varied = new Set(password).size;
  const score = Math.min(lengthOf(password), varied * 1.6) + kinds * 2;
  if (score < 10) return 1;
  if (score < 14) return 2;
  return score < 18 ? 3 : 4;
}
