// What the server told this page: its settings, and every text in the visitor's language.

export const config = JSON.parse(document.getElementById("config").textContent);

/** The text for `key`, with its %(name)s places filled from `params`. */
export function t(key, params = {}) {
  return fill(config.texts[key] ?? key, params);
}

export function fill(text, params) {
  return text.replace(/%\((\w+)\)s/g, (place, name) => params[name] ?? place);
}

/** `path` with the language the visitor chose, if one was chosen. */
export function withLanguage(path) {
  if (!config.lang_param) return path;
  const glue = path.includes("?") ? "&" : "?";
  return `${path}${glue}lang=${encodeURIComponent(config.lang_param)}`;
}

/** A wait in words: seconds, minutes and seconds, hours and minutes, or days and hours. */
export function waitText(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole < 100) return t("page.wait_s", { s: whole });
  if (whole < 3600) return t("page.wait_m", { m: Math.floor(whole / 60), s: whole % 60 });
  if (whole >= 48 * 3600) return daysText(Math.floor(whole / 3600));
  return t("page.wait_h", { h: Math.floor(whole / 3600), m: Math.ceil((whole % 3600) / 60) });
}

function daysText(hours) {
  const [d, h] = [Math.floor(hours / 24), hours % 24];
  return h ? t("page.wait_d", { d, h }) : t("page.days", { n: d });
}

/** A day and its time, in words and on the visitor's own clock. */
export function dateText(unixSeconds) {
  return new Date(unixSeconds * 1000).toLocaleString(config.lang, { dateStyle: "long", timeStyle: "short" });
}

/** 12:08:04, on the visitor's own clock. */
export function timeText(unixSeconds) {
  return new Date(unixSeconds * 1000).toLocaleTimeString("en-GB");
}

let announcing = 0;

/** Says `text` to a screen reader once things have settled; quick successions are said as one. */
export function announce(text) {
  clearTimeout(announcing);
  announcing = setTimeout(() => {
    document.getElementById("announcer").textContent = text;
  }, 500);
}
