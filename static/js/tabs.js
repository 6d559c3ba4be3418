// Tabs, by pointer and by keyboard (WAI-ARIA Authoring Practices, Tabs with automatic activation).

import { byId } from "./fields.js";

const STEPS = { ArrowRight: 1, ArrowLeft: -1 };

/** Wires a tablist; `changed(id)` hears the id of the tab that is chosen. */
export function wireTabs(list, changed) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  const choose = (chosen) => {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
      byId(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
    }
    changed(chosen.id);
  };
  for (const tab of tabs) tab.addEventListener("click", () => choose(tab));
  list.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    next.focus();
    choose(next);
  });
  return (id) => choose(byId(id));
}
