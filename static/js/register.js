// The sign-up page.

import { makeCall } from "./api.js";
import { Captcha, callWithCaptcha } from "./captcha.js";
import { showConnection } from "./connection.js";
import { busyWhile, byId, setVerdict, showFaults, showMessage, showRefusal, wireReveals } from "./fields.js";
import { goOn } from "./next.js";
import { NumberField } from "./number.js";
import { lengthOf, strengthOf } from "./password.js";
import { Sms, SMS_KEY } from "./sms.js";
import { PageSocket } from "./socket.js";
import { announce, config, t } from "./texts.js";

const PURPOSE = "register";
const GO_ON_AFTER_MS = 1_800;

const form = byId("register-form");
const { password, password2, sms_code: code, agree } = form.elements;
const message = byId("form-message");
const sendCode = byId("send-code");
const submit = byId("submit");

const socket = new PageSocket("/ws");
const call = makeCall(socket);
const captcha = new Captcha(call, PURPOSE, showCaptcha);
const number = new NumberField({ input: form.elements.mobile, socket, call, changed: onNumberChanged });
const sms = new Sms({
  socket, call, purpose: PURPOSE, button: sendCode, timeline: byId("sms-timeline"),
  attempts: byId("attempts"), changed: onSmsChanged,
});

function onNumberChanged(mobile) {
  sms.follow(mobile);
  if (number.status === "taken") sms.giveUp();
  drawStrength();
}

function onSmsChanged() {
  const waiting = sms.waiting > 0;
  sendCode.disabled = !number.sendable || waiting;
  const soon = number.status === "free" || number.status === "unknown";
  if (soon && !waiting && !number.held) captcha.prepare();
  if (sms.inTrouble && byId("sms_code-verdict").dataset.state === "ok") setVerdict(code, "hint");
}

function showCaptcha(state) {
  const line = byId("captcha-status");
  line.dataset.state = state;
  line.textContent = state === "idle" ? "" : t(`page.captcha_${state}`);
  if (state === "failed" || state === "insecure") announce(line.textContent);
}

// Password

function onPasswordInput() {
  drawStrength();
  const typed = lengthOf(password.value);
  if (!typed) setVerdict(password, "hint", ruleText("page.password_rule", typed));
  else if (typed < config.password_min) setVerdict(password, "hint", ruleText("page.password_short", typed));
  else if (typed > config.password_max) setVerdict(password, "invalid", ruleText("page.password_long", typed));
  else setVerdict(password, "ok", ruleText("page.password_ok", typed));
  if (password2.value) onPassword2Input();
}

function onPasswordBlur() {
  const typed = lengthOf(password.value);
  if (typed && typed < config.password_min) setVerdict(password, "invalid", ruleText("page.password_short", typed));
}

function ruleText(key, typed) {
  const { password_min: min, password_max: max } = config;
  return t(key, { min, max, n: typed, missing: min - typed, extra: typed - max });
}

function drawStrength() {
  const level = strengthOf(password.value, number.mobile);
  const meter = byId("password-strength");
  meter.dataset.level = level;
  meter.querySelector("span").textContent = level ? t(`page.strength_${level}`) : "";
}

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

// Code

function onSendCode() {
  return busyWhile(sendCode, async () => {
    const { mobile } = number;
    showMessage(message, "quiet");
    try {
      await sendTo(mobile);
    } catch (refusal) {
      onSendRefused(mobile, refusal);
    }
  });
}

async function sendTo(mobile) {
  const solution = await captcha.take();
  const asked = { mobile, purpose: PURPOSE, captcha: solution, transaction: sms.transaction };
  const state = await callWithCaptcha(call, "sms.send", asked);
  sms.begin(mobile, state);
  code.value = "";
  setVerdict(code, "ok", t("page.sms_sent"));
  code.focus();
}

function onSendRefused(mobile, refusal) {
  if (refusal.code === "mobile_taken") return number.showTaken();
  if (refusal.code === "transaction_unknown") sms.forget();
  if (refusal.params?.retry_after) sms.block(mobile, refusal.params.retry_after);
  if (refusal.params?.fields) showFaults(form, message, refusal.params.fields);
  else showRefusal(message, refusal);
}

function onCodeInput() {
  const digits = code.value.replace(/[^0-9]/g, "").slice(0, 6);
  if (digits !== code.value) code.value = digits;
  setVerdict(code, "hint");
}

// The form

function faultsNow() {
  const typed = lengthOf(password.value);
  const faults = {};
  if (!typed) faults.password = t("page.password_empty");
  else if (typed < config.password_min) faults.password = ruleText("page.password_short", typed);
  else if (typed > config.password_max) faults.password = ruleText("page.password_long", typed);
  if (password.value !== password2.value) faults.password2 = t("page.password2_mismatch");
  if (!/^[0-9]{6}$/.test(code.value)) faults.sms_code = t("page.code_shape");
  else if (!sms.transaction) faults.sms_code = t("page.code_first");
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
      mobile, password: password.value, password2: password2.value,
      sms_code: code.value, transaction: sms.transaction, agree: agree?.checked,
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
  if (key === SMS_KEY && newValue) pickUp();
}

/** What the browser put back into the form after a reload or a step back was typed too. */
function judgeWhatStands() {
  if (number.input.value && number.status === "hint") number.fill(number.input.value);
  if (password.value) onPasswordInput();
}

function wire() {
  wireReveals();
  showConnection(socket);
  password.addEventListener("input", onPasswordInput);
  password.addEventListener("blur", onPasswordBlur);
  password2.addEventListener("input", onPassword2Input);
  password2.addEventListener("blur", onPassword2Blur);
  sendCode.addEventListener("click", onSendCode);
  code.addEventListener("input", onCodeInput);
  agree?.addEventListener("change", onAgree);
  form.addEventListener("submit", onSubmit);
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
