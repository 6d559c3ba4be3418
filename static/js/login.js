// The sign-in page.

import { makeCall } from "./api.js";
import { callWithCaptcha } from "./captcha.js";
import { busyWhile, byId, setVerdict, showFaults, showMessage, showRefusal, wireReveals } from "./fields.js";
import { goOn, mayGoOnUnasked } from "./next.js";
import { config, t } from "./texts.js";

const form = byId("login-form");
const { account, password } = form.elements;
const message = byId("form-message");
const submit = byId("submit");
const call = makeCall();

function faultsNow() {
  const faults = {};
  if (!account.value.trim()) faults.account = t("page.account_empty");
  if (!password.value) faults.password = t("page.password_empty");
  return faults;
}

function onSubmit(event) {
  event.preventDefault();
  const faults = faultsNow();
  if (Object.keys(faults).length) return showFaults(form, message, faults);
  return busyWhile(submit, login);
}

async function login() {
  showMessage(message, "quiet");
  try {
    await callWithCaptcha(call, "session.login", { account: account.value.trim(), password: password.value });
    showMessage(message, "good", t("page.login_ok"));
    goOn();
  } catch (refusal) {
    onRefused(refusal);
  }
}

function onRefused(refusal) {
  if (refusal.params?.fields) return showFaults(form, message, refusal.params.fields);
  showRefusal(message, refusal);
  if (refusal.code === "credentials_invalid") password.select();
}

/** Whoever came to be taken on and is signed in already need not do it again. */
async function recognise() {
  try {
    // Not only with `has_session`: a cookie that is SameSite=Strict does not come along from another site's link.
    await call("session.refresh");
  } catch {
    return;
  }
  if (mayGoOnUnasked()) return goOn();
  showMessage(message, "good", t("page.login_already"));
  byId("go-on").hidden = false;
}

wireReveals();
for (const input of [account, password]) input.addEventListener("input", () => setVerdict(input, "hint"));
form.addEventListener("submit", onSubmit);
if (config.next) recognise();
