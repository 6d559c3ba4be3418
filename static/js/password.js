// How long a password is, and a rough idea of how strong.

const RUNS = "0123456789 9876543210 abcdefghijklmnopqrstuvwxyz qwertyuiop asdfghjkl zxcvbnm";
const KINDS = [/[a-z]/, /[A-Z]/, /[0-9]/, /[^a-zA-Z0-9]/];

/** Characters as people count them for the rule: code points after NFC. */
export function lengthOf(password) {
  return [...password.normalize("NFC")].length;
}

/** 0 (nothing yet) to 4 (strong). Advice only: the server decides. */
export function strengthOf(password, mobile) {
  if (!password) return 0;
  if (isPredictable(password, mobile)) return 1;
  const kinds = KINDS.filter((kind) => kind.test(password)).length;
  const varied = new Set(password).size;
  const score = Math.min(lengthOf(password), varied * 1.6) + kinds * 2;
  if (score < 10) return 1;
  if (score < 14) return 2;
  return score < 18 ? 3 : 4;
}

function isPredictable(password, mobile) {
  const lower = password.toLowerCase();
  if (new Set(lower).size <= 2) return true;
  if (mobile && (lower.includes(mobile) || lower === mobile.slice(-8))) return true;
  return RUNS.split(" ").some((run) => run.includes(lower));
}
