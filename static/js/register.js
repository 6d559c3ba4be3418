// The sign-up page.

import { makeCall } from "./api.js";
import { callWithCaptcha } from "./captcha.js";
import { CodeField } from "./code-field.js";
import { showConnection } from "./connection.js";
import { busyWhile, byId, setVerdict, showFaults, showMessage, showRefusal, wireReveals } from "./fields.js";
import { keepNumber } from "./handover.js";
import { goOn } from "./next.js";
import { NumberField } from "./number.js";
import { PasswordField } from "./password-field.js";
import { smsKey } from "./sms.js";
import { PageSocket } from "./socket.js";
import { announce, config, t } from "./texts.js";

const PURPOSE = "register";
const GO_ON_AFTER_MS = 1_800;

const form = byId("register-form");
const { password, password2, agree } = form.elements;
const message = byId("form-message");
const submit = byId("submit");

const socket = new PageSocket("/ws");
const call = makeCall(socket);
const number = new NumberField({ input: form.elements.mobile, socket, call, changed: onNumberChanged });
const code = new CodeField({
  purpose: PURPOSE, socket, call, form, message,
  mobile: () => number.mobile,
  sendable: () => number.sendable,
  expected: () => (number.status === "free" || number.status === "unknown") && !number.held,
  taken: () => number.showTaken(),
});
const { sms } = code;
const newPassword = new PasswordField({ input: password, mobile: () => number.mobile, changed: onPasswordChanged });

function onPasswordChanged() {
  if (password2.value) onPassword2Input();
}

function onNumberChanged() {
  code.follow();
  if (number.status === "taken") sms.giveUp();
  newPassword.drawStrength();
}

// The password again

function onPassword2Input() {
  const [one, two] = [password.value, password2.value];
  if (!two || (one !== two && one.startsWith(two))) return setVerdict(password2, "hint");
  if (one === two) return setVerdict(password2, "ok", t("page.password2_ok"));
  setVerdict(password2, "invalid", t("page.password2_mismatch"));
}

function onPassword2Blur() {
  if (password2.value && password2.value !== password.value) {
    setVerdict(password2, "invalid", t("page.password2_mismatch"));
    announce(t("page.password2_mismatch"));
  }
}

// The form

function faultsNow() {
  const faults = {};
  if (newPassword.fault()) faults.password = newPassword.fault();
  if (password.value !== password2.value) faults.password2 = t("page.password2_mismatch");
  if (code.fault()) faults.sms_code = code.fault();
  if (agree && !agree.checked) faults.agree = agreeText();
  return faults;
}

function onAgree() {
  if (agree.checked) setVerdict(agree, "ok", t("page.agree_ok"));
  else setVerdict(agree, "invalid", agreeText());
}

function agreeText() {
  const asked = ["terms", "privacy"].filter((name) => config[`${name}_url`]).map((name) => t(`page.agree_${name}`));
  const space = config.lang === "en" ? " " : "";
  return t("page.agree_needed", { what: asked.join(space + t("page.agree_and") + space) });
}

function onSubmit(event) {
  event.preventDefault();
  number.complain();
  const faults = faultsNow();
  if (!number.mobile || Object.keys(faults).length) return showFaults(form, message, faults);
  return busyWhile(submit, register);
}

async function register() {
  const { mobile } = number;
  showMessage(message, "quiet");
  number.held = true;
  try {
    const account = await callWithCaptcha(call, "user.register", {
      mobile, password: password.value, password2: password2.value, ...code.proof, agree: agree?.checked,
    });
    showSuccess(account);
  } catch (refusal) {
    number.held = false;
    onRegisterRefused(refusal);
  }
}

function onRegisterRefused(refusal) {
  if (refusal.code === "mobile_taken") {
    number.showTaken();
    return number.input.focus();
  }
  if (refusal.code === "sms_code_invalid") {
    if (socket.state !== "live") sms.resync();
    return showFaults(form, message, { sms_code: refusal.message });
  }
  if (refusal.code === "consent_required" && agree) return showFaults(form, message, { agree: refusal.message });
  if (refusal.params?.fields) return showFaults(form, message, refusal.params.fields);
  showRefusal(message, refusal);
}

function showSuccess({ username }) {
  sms.forget();
  byId("success-name").textContent = username;
  byId("form-side").hidden = true;
  byId("success").hidden = false;
  byId("success").querySelector("h1").focus();
  setTimeout(goOn, GO_ON_AFTER_MS);
}

// The connection

async function pickUp() {
  if (sms.transaction || number.held) return;
  const mobile = await sms.restore();
  if (mobile && !number.input.value) number.fill(mobile);
}

function onConnection(state) {
  if (state !== "live") return;
  number.check();
  pickUp();
}

function onStorage({ key, newValue }) {
  if (key === smsKey(PURPOSE) && newValue) pickUp();
}

/** What the browser put back into the form after a reload or a step back was typed too. */
function judgeWhatStands() {
  if (number.input.value && number.status === "hint") number.fill(number.input.value);
  if (password.value) newPassword.judge();
}

function wire() {
  wireReveals();
  showConnection(socket);
  password2.addEventListener("input", onPassword2Input);
  password2.addEventListener("blur", onPassword2Blur);
  agree?.addEventListener("change", onAgree);
  form.addEventListener("submit", onSubmit);
  byId("mobile-ways").addEventListener("click", () => keepNumber(number.mobile));
  socket.on("state", onConnection);
  const missing = new Set();
  const show = () => { byId("degraded").hidden = missing.size === 0; };
  // A new connection is told afresh what is missing.
  socket.on("state", () => { if (socket.state === "connecting") missing.clear(); show(); });
  socket.on("degraded", ({ what }) => { missing.add(what); show(); });
  socket.on("restored", ({ what }) => { missing.delete(what); show(); });
  window.addEventListener("storage", onStorage);
  window.addEventListener("pageshow", judgeWhatStands);
  pickUp();
}

wire();
