// Asks once before something that cannot be taken back.

import { byId } from "./fields.js";

/** Resolves with true if the person says yes. */
export function ask(title, what, yes) {
  const dialog = byId("ask-dialog");
  byId("ask-title").textContent = title;
  byId("ask-what").textContent = what;
  byId("ask-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
