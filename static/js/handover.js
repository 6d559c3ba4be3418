// What one page of ours tells the next, in this tab only and never in an address.

const keep = (key) => (text) => {
  try {
    sessionStorage.setItem(key, text);
  } catch {
    // No storage: then the next page does not know.
  }
};

const take = (key) => () => {
  try {
    const text = sessionStorage.getItem(key) ?? "";
    sessionStorage.removeItem(key);
    return text;
  } catch {
    return "";
  }
};

/** The number that was dealt with here need not be typed again there. `take…` answers what was kept, once, else "". */
export const keepNumber = keep("haoma.number");
export const takeNumber = take("haoma.number");

/** Why the session of the page before has ended. */
export const keepReason = keep("haoma.ended");
export const takeReason = take("haoma.ended");
