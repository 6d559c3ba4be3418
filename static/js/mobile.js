// The one rule for a mobile number, and what to say about a number that is still being typed.

export const DIGITS = 11;
const SEPARATORS = /[ -]/g;
const WHOLE = /^(?:\+86|0086|86)?(1[3-9][0-9]{9})$/;
const PREFIX = /^(?:\+86|0086|86)/;
const PART_OF_PREFIX = /^(?:\+8?|00?8?|008|8)$/;

/** The canonical eleven digits, or null. */
export function canonical(raw) {
  return WHOLE.exec(raw.replace(SEPARATORS, ""))?.[1] ?? null;
}

/** The field shows +86 itself, so a typed or pasted prefix need not stay. */
export const hasPrefix = (raw) => PREFIX.test(raw.replace(SEPARATORS, ""));

/**
 * What stands there now: `kind` is empty, partial (may still become right), wrong or valid;
 * `typed` counts digits of the number itself, and `reason` names the text of a wrong one.
 */
export function judge(raw) {
  const mobile = canonical(raw);
  if (mobile) return { kind: "valid", mobile, typed: DIGITS };
  const bare = raw.replace(SEPARATORS, "");
  if (!bare) return { kind: "empty", typed: 0 };
  const digits = PART_OF_PREFIX.test(bare) ? "" : bare.replace(PREFIX, "");
  const typed = Math.min(digits.length, DIGITS);
  const reason = faultOf(digits);
  if (reason) return { kind: "wrong", typed, reason, extra: digits.length - DIGITS };
  return { kind: "partial", typed, missing: DIGITS - typed };
}

function faultOf(digits) {
  if (/[^0-9]/.test(digits)) return "page.mobile_not_digits";
  if (/^[^1]/.test(digits)) return "page.mobile_starts";
  if (/^1[^3-9]/.test(digits)) return "page.mobile_second";
  if (digits.length > DIGITS) return "page.mobile_long";
  return null;
}
