// The sign-in page: by password, or by the code of an SMS.

import { makeCall } from "./api.js";
import { callWithCaptcha } from "./captcha.js";
import { CodeField } from "./code-field.js";
import { busyWhile, byId, setVerdict, showFaults, showMessage, showRefusal, wireReveals } from "./fields.js";
import { takeNumber, takeReason } from "./handover.js";
import { canonical } from "./mobile.js";
import { goOn, mayGoOnUnasked } from "./next.js";
import { NumberField } from "./number.js";
import { PageSocket } from "./socket.js";
import { wireTabs } from "./tabs.js";
import { config, t } from "./texts.js";

const PURPOSE = "login";

const form = byId("login-form");
const { account, password } = form.elements;
const message = byId("form-message");
const codeForm = byId("code-form");
const codeMessage = byId("code-message");

const socket = new PageSocket("/ws");
const call = makeCall(socket);
const number = new NumberField({ input: codeForm.elements.mobile, changed: () => code.follow() });
const code = new CodeField({
  purpose: PURPOSE, socket, call, form: codeForm, message: codeMessage,
  mobile: () => number.mobile,
  sendable: () => number.sendable,
});

function passwordFaults() {
  const faults = {};
  if (!account.value.trim()) faults.account = t("page.account_empty");
  if (!password.value) faults.password = t("page.password_empty");
  return faults;
}

function onPasswordSubmit(event) {
  event.preventDefault();
  const faults = passwordFaults();
  if (Object.keys(faults).length) return showFaults(form, message, faults);
  const asked = { account: account.value.trim(), password: password.value };
  return busyWhile(byId("submit"), () => login(asked, form, message));
}

function onCodeSubmit(event) {
  event.preventDefault();
  number.complain();
  const fault = code.fault();
  if (!number.mobile || fault) return showFaults(codeForm, codeMessage, fault ? { sms_code: fault } : {});
  return busyWhile(byId("code-submit"), () => login({ mobile: number.mobile, ...code.proof }, codeForm, codeMessage));
}

async function login(asked, where, line) {
  showMessage(line, "quiet");
  try {
    await callWithCaptcha(call, "session.login", asked);
    code.clear();
    showMessage(line, "good", t("page.login_ok"));
    goOn();
  } catch (refusal) {
    onRefused(refusal, where, line);
  }
}

function onRefused(refusal, where, line) {
  if (refusal.params?.fields) return showFaults(where, line, refusal.params.fields);
  if (refusal.code === "sms_code_invalid") {
    if (socket.state !== "live") code.sms.resync();
    return showFaults(where, line, { sms_code: refusal.message });
  }
  showRefusal(line, refusal);
  if (refusal.code === "credentials_invalid") password.select();
}

/** What was typed as a number in one way stands in the other too. */
function onTab(id) {
  if (id === "tab-code" && !number.input.value && canonical(account.value)) number.fill(canonical(account.value));
  if (id === "tab-password" && !account.value && number.mobile) account.value = number.mobile;
}

/** A code that is on its way, or was before a reload, is what the person came for. */
async function pickUp() {
  if (code.sms.transaction) return;
  const mobile = await code.sms.restore();
  if (!mobile || number.input.value) return;
  choose("tab-code");
  number.fill(mobile);
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

const choose = wireTabs(document.querySelector("[role=tablist]"), onTab);
wireReveals();
for (const input of [account, password]) input.addEventListener("input", () => setVerdict(input, "hint"));
form.addEventListener("submit", onPasswordSubmit);
codeForm.addEventListener("submit", onCodeSubmit);
account.value ||= takeNumber();
const reason = takeReason();
if (reason) showMessage(message, "bad", t(`page.ended_${reason}`));
pickUp();
if (config.next) recognise();
