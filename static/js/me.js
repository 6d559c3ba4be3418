// The page of one's own account.

import { ask } from "./ask.js";
import { callWithCaptcha } from "./captcha.js";
import { CodeField } from "./code-field.js";
import { Devices } from "./devices.js";
import { busyWhile, byId, setVerdict, showFaults, showMessage, showRefusal, wireReveals } from "./fields.js";
import { keepReason } from "./handover.js";
import { NumberField } from "./number.js";
import { PasswordField } from "./password-field.js";
import { Profile } from "./profile.js";
import { Session } from "./session.js";
import { announce, config, t, withLanguage } from "./texts.js";

const session = new Session({ opened: onOpened, ended: onEnded, trouble: onTrouble });
const { call } = session;
const profile = new Profile({ call, shown: showAccount });
const devices = new Devices({ call });
let begun = false;

// Coming and going

async function onOpened() {
  if (begun) return;
  begun = true;
  byId("password-username").value = session.username;
  wireMobile();
  try {
    await Promise.all([profile.load(), devices.load()]);
    show("signed-in");
  } catch (refusal) {
    begun = false;
    onTrouble(refusal);
  }
}

function onEnded(reason) {
  if (reason === "deleted") return leaveTo("/", reason);
  return leaveTo(reason === "logout" ? "/login" : "/login?next=/me", reason);
}

function leaveTo(path, reason) {
  if (reason && reason !== "logout") keepReason(reason);
  window.location.assign(withLanguage(path));
}

function onTrouble(refusal) {
  if (!byId("signed-in").hidden) return;
  show("trouble");
  showRefusal(byId("trouble-message"), refusal);
}

function show(id) {
  for (const part of ["loading", "trouble", "signed-in"]) byId(part).hidden = part !== id;
}

function showAccount({ name, mobile, created_at }) {
  byId("me-name").textContent = name;
  byId("me-mobile").textContent = mobile;
  const day = new Date(created_at * 1000).toLocaleDateString(config.lang, { dateStyle: "medium" });
  byId("me-since").textContent = t("page.since", { day });
}

// Password

const passwordForm = byId("password-form");
const newPassword = new PasswordField({ input: passwordForm.elements.new_password });

function onPasswordSubmit(event) {
  event.preventDefault();
  const { old_password: old } = passwordForm.elements;
  const faults = faultsOf({ old_password: old.value ? null : t("page.password_empty"), new_password: newPassword.fault() });
  if (faults) return showFaults(passwordForm, byId("password-message"), faults);
  return busyWhile(byId("password-submit"), () => changePassword(old.value));
}

async function changePassword(password) {
  const line = byId("password-message");
  showMessage(line, "quiet");
  try {
    await callWithCaptcha(call, "password.change", { password, new_password: newPassword.value });
    passwordForm.reset();
    newPassword.judge();
    setVerdict(passwordForm.elements.old_password, "hint");
    showMessage(line, "good", t("page.password_changed"));
    devices.load();
  } catch (refusal) {
    showCredentialRefusal(passwordForm, line, "old_password", refusal);
  }
}

// Number

const mobileForm = byId("mobile-form");
let mobile = null;

/** When the websocket is there: these fields live on it. */
function wireMobile() {
  const { socket } = session;
  const shared = { socket, call, form: mobileForm, message: byId("mobile-message") };
  const oldNumber = new NumberField({ input: mobileForm.elements.old_mobile, changed: () => mobile?.oldCode.follow() });
  const newNumber = new NumberField({
    input: mobileForm.elements.new_mobile, socket, call, changed: () => mobile?.newCode.follow(),
  });
  const oldCode = new CodeField({
    ...shared, purpose: "change-old", mobile: () => oldNumber.mobile, sendable: () => oldNumber.sendable,
  });
  const newCode = new CodeField({
    ...shared, suffix: "_new", purpose: "change-new", mobile: () => newNumber.mobile, sendable: () => newNumber.sendable,
    taken: () => newNumber.showTaken(),
  });
  mobile = { oldNumber, newNumber, oldCode, newCode };
}

function onMobileSubmit(event) {
  event.preventDefault();
  const { oldNumber, newNumber, oldCode, newCode } = mobile;
  const { mobile_password: password } = mobileForm.elements;
  oldNumber.complain();
  newNumber.complain();
  const faults = faultsOf({
    sms_code: oldCode.fault(), sms_code_new: newCode.fault(), mobile_password: password.value ? null : t("page.password_empty"),
  });
  if (faults || !oldNumber.mobile || !newNumber.mobile) return showFaults(mobileForm, byId("mobile-message"), faults ?? {});
  return busyWhile(byId("mobile-submit"), () => changeMobile(password.value));
}

async function changeMobile(password) {
  const { newNumber, oldCode, newCode } = mobile;
  const line = byId("mobile-message");
  showMessage(line, "quiet");
  newNumber.held = true;
  try {
    const fresh = newCode.proof;
    await callWithCaptcha(call, "mobile.change", {
      password, ...oldCode.proof, new_mobile: newNumber.mobile, new_sms_code: fresh.sms_code, new_transaction: fresh.transaction,
    });
    await onMobileChanged(line);
  } catch (refusal) {
    onMobileRefused(line, refusal);
  } finally {
    newNumber.held = false;
  }
}

async function onMobileChanged(line) {
  mobileForm.reset();
  for (const part of [mobile.oldCode, mobile.newCode]) part.clear();
  for (const part of [mobile.oldNumber, mobile.newNumber]) part.fill("");
  setVerdict(mobileForm.elements.mobile_password, "hint");
  showMessage(line, "good", t("page.mobile_changed"));
  await profile.load();
  devices.load();
}

function onMobileRefused(line, refusal) {
  if (refusal.code === "mobile_taken") return mobile.newNumber.showTaken();
  if (refusal.code === "sms_code_invalid") {
    const text = refusal.message;
    return showFaults(mobileForm, line, { sms_code: text, sms_code_new: text });
  }
  return showCredentialRefusal(mobileForm, line, "mobile_password", refusal);
}

// The end

const deleteForm = byId("delete-form");

async function onDeleteSubmit(event) {
  event.preventDefault();
  const { delete_password: password } = deleteForm.elements;
  if (!password.value) return showFaults(deleteForm, byId("delete-message"), { delete_password: t("page.password_empty") });
  if (!(await ask(t("page.delete_title"), t("page.delete_what"), t("page.delete_submit")))) return undefined;
  return busyWhile(byId("delete-submit"), () => deleteAccount(password.value));
}

async function deleteAccount(password) {
  try {
    await session.leave("deleted", () => callWithCaptcha(call, "account.delete", { password }));
  } catch (refusal) {
    showCredentialRefusal(deleteForm, byId("delete-message"), "delete_password", refusal);
  }
}

function onLogout() {
  return busyWhile(byId("logout"), () => session.logOut().catch((refusal) => {
    showMessage(byId("devices-message"), "bad", refusal.message);
    announce(refusal.message);
  }));
}

// Shared

/** Those of the faults that there are, or null. */
function faultsOf(faults) {
  const found = Object.entries(faults).filter(([, fault]) => fault);
  return found.length ? Object.fromEntries(found) : null;
}

/** A wrong password is said at its field. */
function showCredentialRefusal(form, line, field, refusal) {
  if (refusal.code === "credentials_invalid") return showFaults(form, line, { [field]: t("page.password_wrong") });
  if (refusal.params?.fields) return showFaults(form, line, refusal.params.fields);
  return showRefusal(line, refusal);
}

wireReveals();
for (const form of [passwordForm, mobileForm, deleteForm]) {
  for (const input of form.querySelectorAll("input[autocomplete=current-password]")) {
    input.addEventListener("input", () => setVerdict(input, "hint"));
  }
}
passwordForm.addEventListener("submit", onPasswordSubmit);
mobileForm.addEventListener("submit", onMobileSubmit);
deleteForm.addEventListener("submit", onDeleteSubmit);
deleteForm.elements.delete_sure.addEventListener("change", ({ target }) => { byId("delete-submit").disabled = !target.checked; });
byId("logout").addEventListener("click", onLogout);
byId("retry").addEventListener("click", () => busyWhile(byId("retry"), () => session.refresh()));
if (config.has_session) session.refresh();
else onEnded("");
