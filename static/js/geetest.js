// GeeTest, versions 3 and 4: its own script, loaded when it is needed, asks the person; the server asks for the verdict.

import { config } from "./texts.js";

const KINDS = {
  geetest3: {
    script: "https://static.geetest.com/static/tools/gt.js",
    begin: "initGeetest",
    options: (challenge) => ({ ...challenge, offline: false, https: true, lang: config.lang.toLowerCase() }),
    show: (captcha) => captcha.verify(),
    fields: ["geetest_challenge", "geetest_validate", "geetest_seccode"],
  },
  geetest4: {
    script: "https://static.geetest.com/v4/gt4.js",
    begin: "initGeetest4",
    options: (challenge) => ({ ...challenge, protocol: "https://", language: config.lang === "en" ? "eng" : "zho" }),
    show: (captcha) => captcha.showCaptcha(),
    fields: ["lot_number", "captcha_output", "pass_token", "gen_time"],
  },
};
const LOAD_MS = 10_000;

const loading = new Map();

/** The answer to send to the server; rejects if the script cannot be had or the person gives up. */
export async function askGeetest({ provider, id, challenge }) {
  const { script, begin, options, show, fields } = KINDS[provider];
  await load(script);
  const captcha = await within(LOAD_MS, (ready, failed) => {
    const configured = { ...options(challenge), product: "bind", onError: failed };
    globalThis[begin](configured, (made) => made.onReady(() => ready(made)).onError(failed));
  });
  const result = await answerOf(captcha, show);
  return { id, ...Object.fromEntries(fields.map((name) => [name, result[name]])) };
}

function answerOf(captcha, show) {
  return new Promise((resolve, reject) => {
    captcha.onSuccess(() => resolve(captcha.getValidate())).onError(reject).onClose(reject);
    show(captcha);
  });
}

function load(script) {
  if (!loading.has(script)) loading.set(script, within(LOAD_MS, (loaded, failed) => {
    const element = Object.assign(document.createElement("script"), { src: script, onload: loaded, onerror: failed });
    document.head.append(element);
  }));
  loading.get(script).catch(() => loading.delete(script));
  return loading.get(script);
}

function within(ms, begin) {
  return new Promise((resolve, reject) => {
    setTimeout(reject, ms);
    begin(resolve, reject);
  });
}
