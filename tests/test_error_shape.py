"""One function behind both transports: the same input has the same verdict, and every error the one shape."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import pytest

from server.caller import Caller
from server.errors import ERRORS, AppError
from server.i18n import LOCALES, error_body
from server.operation import Operation
from server.operations import OPERATIONS
from tests.conftest import Stack
from tests.helpers import PASSWORD, RestClient

UNKNOWN = "0123abcd." + "A" * 22
BOTH_FORMS = [row.name for row in OPERATIONS.values() if row.rest and row.socket == "page"]


@dataclass
class Verdict:
    """What came of a request: `code` is "ok" or the error's."""

    code: str
    error: dict[str, Any] | None = None
    data: dict[str, Any] | None = None


def judged(error: dict[str, Any]) -> Verdict:
    """The verdict of an error, whose shape is the one of all errors."""
    assert set(error) == {"code", "message", "params", "request_id"}
    assert error["code"] in ERRORS
    assert error["request_id"]
    assert error["message"].strip()
    assert "%(" not in error["message"]
    for faults in error["params"].get("fields", {}).values():
        assert faults
        assert not [text for text in faults if text.startswith("field.") or "%(" in text]
    return Verdict(error["code"], error=error)


class Transport(Protocol):
    """One way to ask."""

    async def ask(self, row: Operation, data: Any, token: str) -> Verdict: ...


class OverSocket:
    """The websocket form. A page asks for a while and makes room for the next: its own rates are not the matter."""

    def __init__(self, stack: Stack, lang: str) -> None:
        self._stack = stack
        self._lang = lang
        self._left = 0
        self._page: Any = None

    async def ask(self, row: Operation, data: Any, token: str) -> Verdict:
        if not self._left or row.needs_login:
            if self._page:  # so that no session has too many open
                self._page.socket.close()
            self._page, self._left = await self._stack.page(self._lang), 25
        self._left -= 1
        if token:
            assert (await self._page.ask("session.authenticate", token=token))["type"] == "session.bound"
        frame = await self._page.ask(row.name, **data)
        if token or frame["type"] in ("user.registered", "session.opened"):
            self._left = 0  # It speaks for a session now, and ends with it.
        if frame["type"] == "error":
            return judged(frame["data"])
        assert frame["type"] == row.reply
        return self._judged(row, frame["data"])

    def _judged(self, row: Operation, data: dict[str, Any]) -> Verdict:
        """REST has a status for a number that is taken; a socket's reply says it in its data."""
        if row.name == "mobile.check" and data["available"] is False:
            return Verdict("mobile_taken")
        return Verdict("ok", data=data)


class OverRest:
    """The REST form."""

    def __init__(self, rest: RestClient, lang: str) -> None:
        self._rest = rest
        self._lang = lang

    async def ask(self, row: Operation, data: Any, token: str) -> Verdict:
        assert row.rest is not None
        path, given = row.rest.path, dict(data)
        for name in [*given]:
            if f"{{{name}}}" in path:
                path = path.replace(f"{{{name}}}", quote(given.pop(name), safe=""))
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if row.rest.method == "GET":
            answer = await self._rest.get(f"{path}?{urlencode(given | {'lang': self._lang})}", **headers)
        else:
            if row.rest.method == "DELETE" and given:
                headers["Content-Type"] = "application/json"
            body = None if row.rest.method == "DELETE" and not given else given
            answer = await self._rest.ask(row.rest.method, f"{path}?lang={self._lang}", body, **headers)
        if answer.status < 400:
            assert answer.status == row.rest.status
            return Verdict("ok", data=answer.body)
        assert set(answer.body) == {"error"}
        assert answer.status == ERRORS[answer.error["code"]]
        assert answer.headers["X-Request-Id"] == answer.error["request_id"]
        wait = answer.error["params"].get("retry_after")
        assert answer.headers.get("Retry-After") == (None if wait is None else str(wait))
        return judged(answer.error)


async def world_of(stack: Stack, first: int) -> dict[str, str]:
    """Numbers from `first` on: nobody's, an account's, one with an SMS on its way and its code."""
    page = await stack.page()
    names = ("free", "taken", "pending", "fresh", "next", "other", "later")
    world = {name: f"{first + 100 * place}" for place, name in enumerate(names, 1)}

    async def send(name: str, mobile: str, purpose: str) -> None:
        sent = len(stack.provider.sent)
        queued = (await page.ask("sms.send", mobile=mobile, purpose=purpose))["data"]
        sms = await stack.provider.nth(sent + 1)
        world.update({f"{name}_transaction": queued["transaction"], f"{name}_code": sms.code})
        world[f"{name}_wrong_code"] = f"{(int(sms.code) + 1) % 1_000_000:06}"

    for name in ("taken", "other"):
        await send(name, world[name], "register")
        form = {"mobile": world[name], "sms_code": world[f"{name}_code"], "password": PASSWORD}
        made = await page.ask("user.register", **form, transaction=world[f"{name}_transaction"])
        assert made["type"] == "user.registered", made
        world |= {f"{name}_name": made["data"]["username"], f"{name}_token": made["data"]["token"]}
    stack.clock.advance(61)
    await send("login", world["taken"], "login")
    await send("change_old", world["other"], "change-old")
    stack.clock.advance(61)
    await send("reset", world["taken"], "reset")
    await send("change_new", world["next"], "change-new")
    await send("recover", world["later"], "change-new")
    await send("claim", world["other"], "claim")
    await send("pending", world["pending"], "register")
    return world


def register(mobile: str = "{pending}", **given: Any) -> dict[str, Any]:
    """A registration that is right but for what is given; None leaves a field out."""
    right = {
        "mobile": mobile,
        "password": PASSWORD,
        "sms_code": "{pending_code}",
        "transaction": "{pending_transaction}",
    }
    return {name: value for name, value in (right | given).items() if value is not None}


def by_code(**given: Any) -> dict[str, Any]:
    """A login by code that is right but for what is given."""
    return {"mobile": "{taken}", "sms_code": "{login_code}", "transaction": "{login_transaction}"} | given


def reset(**given: Any) -> dict[str, Any]:
    """A new password for a forgotten one, right but for what is given."""
    right = {"mobile": "{taken}", "sms_code": "{reset_code}", "transaction": "{reset_transaction}"}
    return right | {"new_password": NEW_PASSWORD} | given


def change(**given: Any) -> dict[str, Any]:
    """A change of the number, right but for what is given."""
    old = {"sms_code": "{change_old_code}", "transaction": "{change_old_transaction}"}
    new = {"new_sms_code": "{change_new_code}", "new_transaction": "{change_new_transaction}"}
    return {"password": PASSWORD, "new_mobile": "{next}"} | old | new | given


def claim(**given: Any) -> dict[str, Any]:
    """A claim to a number, right but for what is given."""
    right = {"mobile": "{other}", "sms_code": "{claim_code}", "transaction": "{claim_transaction}"}
    return right | given


def recover(**given: Any) -> dict[str, Any]:
    """A recovery, right but for what is given."""
    code = {"new_sms_code": "{recover_code}", "new_transaction": "{recover_transaction}"}
    return {"password": PASSWORD, "new_mobile": "{later}"} | code | given


# Those that act on the second account.
OF_OTHER = {"mobile.change", "mobile.recover", "claim.get", "claim.refuse", "account.delete"}
NEW_PASSWORD = "another battery, staple"
PROFILE = {"name": "张三", "age": 40, "sex": 1, "active": True, "description": ""}
NOT_TEXT: list[Any] = [None, 1, 1.5, True, [], {}, ["x"], {"$ne": None}]
LONG = "x" * 3600

# Operation, its data ("{name}" is filled from the world), and the verdict of both transports.
CASES: list[tuple[str, Any, str]] = [
    ("mobile.check", {"mobile": "{free}"}, "ok"),
    ("mobile.check", {"mobile": "+86 {free}"}, "ok"),
    ("mobile.check", {"mobile": "0086-{free}"}, "ok"),
    ("mobile.check", {"mobile": "86{free}"}, "ok"),
    ("mobile.check", {"mobile": "{taken}"}, "mobile_taken"),
    ("mobile.check", {"mobile": " {taken}-"}, "mobile_taken"),
    ("mobile.check", {"mobile": ""}, "mobile_invalid"),
    ("mobile.check", {"mobile": "{free}0"}, "mobile_invalid"),
    ("mobile.check", {"mobile": "{free}\n"}, "mobile_invalid"),
    ("mobile.check", {"mobile": "{free}\x00"}, "mobile_invalid"),
    ("mobile.check", {"mobile": "１５４００００００９１"}, "mobile_invalid"),
    ("mobile.check", {"mobile": "../{free}"}, "mobile_invalid"),
    ("mobile.check", {"mobile": LONG}, "mobile_invalid"),
    ("captcha.new", {"purpose": "register"}, "ok"),
    ("captcha.new", {"purpose": "check"}, "ok"),
    ("captcha.new", {"purpose": "login"}, "ok"),
    ("captcha.new", {}, "validation_failed"),
    ("captcha.new", {"purpose": ""}, "validation_failed"),
    ("captcha.new", {"purpose": "Register"}, "validation_failed"),
    ("captcha.new", {"purpose": " register"}, "validation_failed"),
    ("captcha.new", {"purpose": "register\n"}, "validation_failed"),
    ("captcha.new", {"purpose": LONG}, "validation_failed"),
    ("captcha.new", {"purpose": "register", "provider": "image"}, "ok"),
    ("captcha.new", {"purpose": "register", "provider": "other"}, "validation_failed"),
    ("captcha.check", {"purpose": "register", "captcha": "any"}, "ok"),
    ("captcha.check", {"purpose": "register", "captcha": {"id": "0" * 32, "answer": "A"}}, "ok"),
    ("captcha.check", {}, "validation_failed"),
    ("captcha.check", {"purpose": "other", "captcha": "any"}, "validation_failed"),
    ("captcha.check", {"purpose": "register", "captcha": {"id": "0" * 32}}, "validation_failed"),
    ("captcha.check", {"purpose": "register", "captcha": LONG}, "validation_failed"),
    ("sms.send", {}, "mobile_invalid"),
    ("sms.send", {"mobile": "{fresh}"}, "validation_failed"),
    ("sms.send", {"purpose": "register"}, "mobile_invalid"),
    ("sms.send", {"mobile": "1", "purpose": "other"}, "mobile_invalid"),
    ("sms.send", {"mobile": "{fresh}", "purpose": "other"}, "validation_failed"),
    ("sms.send", {"mobile": "{fresh}", "purpose": "register", "role": "admin"}, "validation_failed"),
    ("sms.send", {"mobile": "{fresh}", "purpose": "register", "transaction": ""}, "validation_failed"),
    ("sms.send", {"mobile": "{fresh}", "purpose": "register", "transaction": "a b"}, "validation_failed"),
    ("sms.send", {"mobile": "{fresh}", "purpose": "register", "transaction": "x" * 65}, "validation_failed"),
    ("sms.send", {"mobile": "{fresh}", "purpose": "register", "captcha": LONG}, "validation_failed"),
    *[("sms.send", {"mobile": value, "purpose": "register"}, "mobile_invalid") for value in NOT_TEXT],
    *[("sms.send", {"mobile": "{fresh}", "purpose": value}, "validation_failed") for value in NOT_TEXT],
    *[
        ("sms.send", {"mobile": "{fresh}", "purpose": "register", name: value}, "validation_failed")
        for value in NOT_TEXT
        for name in ("transaction", "captcha")
    ],
    ("sms.send", {"mobile": "{taken}", "purpose": "register"}, "mobile_taken"),
    ("sms.send", {"mobile": "{fresh}", "purpose": "register", "transaction": UNKNOWN}, "transaction_unknown"),
    ("sms.send", {"mobile": "{fresh}", "purpose": "register", "transaction": "x"}, "transaction_unknown"),
    (
        "sms.send",
        {"mobile": "{fresh}", "purpose": "register", "transaction": "{pending_transaction}"},
        "transaction_unknown",
    ),
    ("sms.send", {"mobile": "{pending}", "purpose": "register"}, "sms_too_soon"),
    (
        "sms.send",
        {"mobile": "{pending}", "purpose": "register", "transaction": "{pending_transaction}"},
        "sms_too_soon",
    ),
    ("sms.send", {"mobile": "{fresh}", "purpose": "register"}, "ok"),
    ("sms.send", {"mobile": "+86{fresh}", "purpose": "register"}, "sms_too_soon"),
    ("sms.watch", {"transaction": "{pending_transaction}"}, "ok"),
    ("sms.watch", {"transaction": "{pending_transaction}", "after": 0, "wait": 0}, "ok"),
    ("sms.watch", {"transaction": UNKNOWN}, "transaction_unknown"),
    ("sms.watch", {"transaction": "x"}, "transaction_unknown"),
    ("sms.watch", {"transaction": "{free}"}, "transaction_unknown"),
    ("sms.watch", {"transaction": "{pending_transaction}x"}, "transaction_unknown"),
    ("sms.watch", {"transaction": ""}, "validation_failed"),
    ("sms.watch", {"transaction": "a b"}, "validation_failed"),
    ("sms.watch", {"transaction": "é"}, "validation_failed"),
    ("sms.watch", {"transaction": "x" * 65}, "validation_failed"),
    ("sms.watch", {"transaction": "{pending_transaction}", "after": -1}, "validation_failed"),
    ("sms.watch", {"transaction": "{pending_transaction}", "after": 10**12}, "validation_failed"),
    ("sms.watch", {"transaction": "{pending_transaction}", "after": "x"}, "validation_failed"),
    ("sms.watch", {"transaction": "{pending_transaction}", "after": 1.5}, "validation_failed"),
    ("sms.watch", {"transaction": "{pending_transaction}", "wait": -1}, "validation_failed"),
    ("sms.watch", {"transaction": "{pending_transaction}", "wait": 26}, "validation_failed"),
    ("user.register", {}, "mobile_invalid"),
    ("user.register", register(mobile="1"), "mobile_invalid"),
    ("user.register", register(mobile="{pending}\n"), "mobile_invalid"),
    ("user.register", register(password="short"), "validation_failed"),
    ("user.register", register(password="x" * 65), "validation_failed"),
    ("user.register", register(password="x\x00" * 8), "validation_failed"),
    ("user.register", register(password2="other"), "validation_failed"),
    ("user.register", register(sms_code="12345"), "validation_failed"),
    ("user.register", register(sms_code="１２３４５６"), "validation_failed"),
    ("user.register", register(sms_code="123456\n"), "validation_failed"),
    ("user.register", register(transaction=""), "validation_failed"),
    ("user.register", register(role="admin"), "validation_failed"),
    ("user.register", register(agree="yes"), "validation_failed"),
    *[
        ("user.register", register() | {name: value}, "validation_failed")
        for value in NOT_TEXT
        for name in ("password", "password2", "sms_code", "transaction", "captcha")
    ],
    *[("user.register", register() | {"mobile": value}, "mobile_invalid") for value in NOT_TEXT],
    ("user.register", register(sms_code="{pending_wrong_code}"), "sms_code_invalid"),
    ("user.register", register(transaction=UNKNOWN), "sms_code_invalid"),
    ("user.register", register(transaction="x"), "sms_code_invalid"),
    ("user.register", register(mobile="{free}"), "sms_code_invalid"),
    ("user.register", register(mobile="{taken}"), "mobile_taken"),
    ("user.register", register(mobile="+86 {pending}", password2=PASSWORD, agree=True), "ok"),
    ("user.register", register(), "mobile_taken"),
    ("session.login", {}, "validation_failed"),
    ("session.login", {"account": "{taken}"}, "validation_failed"),
    ("session.login", {"account": "{taken}", "password": PASSWORD, "remember": True}, "validation_failed"),
    ("session.login", {"account": "x" * 65, "password": PASSWORD}, "validation_failed"),
    ("session.login", {"account": "{taken}", "password": "x" * 1025}, "validation_failed"),
    ("session.login", {"account": "{taken}", "password": "\x00"}, "validation_failed"),
    *[("session.login", {"account": value, "password": PASSWORD}, "validation_failed") for value in NOT_TEXT],
    *[("session.login", {"account": "{taken}", "password": value}, "validation_failed") for value in NOT_TEXT],
    ("session.login", {"account": "{taken}", "password": ""}, "credentials_invalid"),
    ("session.login", {"account": "{taken}", "password": PASSWORD + " "}, "credentials_invalid"),
    ("session.login", {"account": "{free}", "password": PASSWORD}, "credentials_invalid"),
    ("session.login", {"account": "", "password": PASSWORD}, "credentials_invalid"),
    ("session.login", {"account": "{taken}\n", "password": PASSWORD}, "credentials_invalid"),
    ("session.login", {"account": "{taken}", "password": PASSWORD}, "ok"),
    ("session.login", {"account": "0086 {taken}", "password": PASSWORD}, "ok"),
    ("session.login", {"account": "{taken_name}", "password": PASSWORD}, "ok"),
    *[
        ("session.login", by_code(**{name: value}), "validation_failed")
        for value in NOT_TEXT
        for name in ("sms_code", "transaction")
    ],
    ("session.login", by_code(mobile="1"), "mobile_invalid"),
    ("session.login", {"mobile": "{taken}"}, "validation_failed"),
    ("session.login", {"sms_code": "{login_code}", "transaction": "{login_transaction}"}, "mobile_invalid"),
    ("session.login", by_code(password=PASSWORD), "validation_failed"),
    ("session.login", by_code(account="{taken}"), "validation_failed"),
    ("session.login", by_code(sms_code="{login_wrong_code}"), "sms_code_invalid"),
    ("session.login", by_code(mobile="{free}"), "sms_code_invalid"),
    ("session.login", by_code(transaction=UNKNOWN), "sms_code_invalid"),
    ("session.login", by_code(sms_code="{reset_code}", transaction="{reset_transaction}"), "sms_code_invalid"),
    ("session.login", by_code(mobile="+86 {taken}"), "ok"),
    ("session.login", by_code(), "sms_code_invalid"),
    ("sms.send", {"mobile": "{free}", "purpose": "login"}, "ok"),
    ("sms.send", {"mobile": "{free}", "purpose": "reset"}, "sms_too_soon"),
    ("sms.send", {"mobile": "{next}", "purpose": "change-new"}, "token_invalid"),
    ("sms.send", {"mobile": "{taken}", "purpose": "change-old"}, "token_invalid"),
    ("profile.get", {}, "token_invalid"),
    ("profile.get", {}, "ok"),
    ("profile.update", {}, "token_invalid"),
    ("profile.update", {}, "ok"),
    ("profile.update", {"age": 41}, "ok"),
    ("profile.update", {"active": False}, "validation_failed"),
    ("profile.update", {"active": False, "description": "搬家了"}, "ok"),
    ("profile.update", {"description": " "}, "validation_failed"),
    ("profile.update", {"mobile": "{free}"}, "validation_failed"),
    *[("profile.update", {"name": value}, "validation_failed") for value in (*NOT_TEXT, "", " ", "x" * 33, "管理员")],
    *[("profile.update", {"age": value}, "validation_failed") for value in (-1, 101, 1.5, True, "7", [], {})],
    *[("profile.update", {"sex": value}, "validation_failed") for value in (None, -1, 3, 0.5, True, "1", [], {})],
    *[("profile.update", {"active": value}, "validation_failed") for value in (None, 0, 1, "true", [], {})],
    *[("profile.update", {"description": value}, "validation_failed") for value in (*NOT_TEXT, "x" * 201, "\u202e")],
    ("profile.replace", PROFILE, "token_invalid"),
    ("profile.replace", {"age": 1}, "validation_failed"),
    ("profile.replace", PROFILE | {"id": "x"}, "validation_failed"),
    ("profile.replace", {"name": "李四", "active": False}, "validation_failed"),
    ("profile.replace", {"name": "李四"}, "ok"),
    ("profile.replace", PROFILE, "ok"),
    ("mobile.claim", {}, "mobile_invalid"),
    ("mobile.claim", claim(role="admin"), "validation_failed"),
    ("mobile.claim", claim(sms_code="12345"), "validation_failed"),
    ("mobile.claim", claim(sms_code="{claim_wrong_code}"), "sms_code_invalid"),
    ("mobile.claim", claim(mobile="{free}"), "sms_code_invalid"),
    ("mobile.claim", claim(transaction=UNKNOWN), "sms_code_invalid"),
    ("claim.get", {}, "token_invalid"),
    ("claim.get", {}, "ok"),
    ("mobile.claim", claim(mobile="+86 {other}"), "ok"),
    ("mobile.claim", claim(), "sms_code_invalid"),
    ("claim.get", {}, "ok"),
    ("claim.refuse", {}, "token_invalid"),
    ("claim.refuse", {"all": True}, "validation_failed"),
    ("claim.refuse", {}, "ok"),
    ("claim.refuse", {}, "ok"),
    ("mobile.recover", recover(), "token_invalid"),
    ("mobile.recover", recover(new_mobile="1"), "mobile_invalid"),
    ("mobile.recover", recover(role="admin"), "validation_failed"),
    ("mobile.recover", recover(password=PASSWORD + " "), "credentials_invalid"),
    ("mobile.recover", recover(new_sms_code="{recover_wrong_code}"), "sms_code_invalid"),
    ("mobile.recover", recover(new_mobile="{free}"), "sms_code_invalid"),
    ("mobile.recover", recover(), "ok"),
    ("mobile.recover", recover(), "sms_code_invalid"),
    ("claim.get", {}, "ok"),
    ("mobile.change", change(), "token_invalid"),
    ("mobile.change", change(new_mobile="1"), "mobile_invalid"),
    ("mobile.change", change(new_sms_code="12345"), "validation_failed"),
    ("mobile.change", change(role="admin"), "validation_failed"),
    ("mobile.change", change(password=PASSWORD + " "), "credentials_invalid"),
    ("mobile.change", change(sms_code="{change_old_wrong_code}"), "sms_code_invalid"),
    ("mobile.change", change(new_sms_code="{change_new_wrong_code}"), "sms_code_invalid"),
    ("mobile.change", change(new_mobile="{free}"), "sms_code_invalid"),
    ("mobile.change", change(), "ok"),
    ("mobile.change", change(), "sms_code_invalid"),
    ("password.change", {"password": PASSWORD, "new_password": NEW_PASSWORD}, "token_invalid"),
    ("password.change", {"password": PASSWORD, "new_password": "short"}, "validation_failed"),
    ("password.change", {"new_password": NEW_PASSWORD}, "validation_failed"),
    ("password.change", {"password": "wrong", "new_password": NEW_PASSWORD}, "credentials_invalid"),
    ("password.change", {"password": PASSWORD, "new_password": NEW_PASSWORD}, "ok"),
    ("password.change", {"password": PASSWORD, "new_password": NEW_PASSWORD}, "credentials_invalid"),
    ("session.list", {}, "token_invalid"),
    ("session.list", {}, "ok"),
    ("session.end", {"id": "x"}, "token_invalid"),
    ("session.end", {"id": ""}, "validation_failed"),
    ("session.end", {"id": "a b"}, "validation_failed"),
    ("session.end", {"id": "x" * 65}, "validation_failed"),
    ("session.end", {"id": "x" * 22}, "ok"),
    ("session.end_others", {}, "token_invalid"),
    ("session.end_others", {"all": True}, "validation_failed"),
    ("session.end_others", {}, "ok"),
    ("account.delete", {"password": PASSWORD}, "token_invalid"),
    ("account.delete", {}, "validation_failed"),
    ("account.delete", {"password": NEW_PASSWORD}, "credentials_invalid"),
    ("account.delete", {"password": PASSWORD}, "ok"),
    ("password.reset", {}, "mobile_invalid"),
    ("password.reset", reset(new_password="short"), "validation_failed"),
    ("password.reset", reset(role="admin"), "validation_failed"),
    ("password.reset", reset(sms_code="{reset_wrong_code}"), "sms_code_invalid"),
    ("password.reset", reset(mobile="{free}"), "sms_code_invalid"),
    ("password.reset", reset(), "ok"),
    ("password.reset", reset(), "sms_code_invalid"),
    ("session.list", {}, "token_invalid"),
]


def fill(value: Any, world: dict[str, str]) -> Any:
    """`value` with its names replaced."""
    if isinstance(value, dict):
        return {name: fill(child, world) for name, child in value.items()}
    return value.format_map(world) if isinstance(value, str) else value


async def verdicts(transport: Transport, world: dict[str, str]) -> list[Verdict]:
    """What needs a login has one, but where the refusal without one is the case."""
    found = []
    for name, data, expected in CASES:
        whose = "other" if name in OF_OTHER else "taken"
        token = world[f"{whose}_token"] if OPERATIONS[name].needs_login and expected != "token_invalid" else ""
        found.append(await transport.ask(OPERATIONS[name], fill(data, world), token))
    return found


def test_api_12_every_operation_with_two_forms_is_in_the_table() -> None:
    """With at least one success and one refusal."""
    for name in BOTH_FORMS:
        expected = {verdict for operation, _, verdict in CASES if operation == name}
        assert "ok" in expected, name
        assert len(expected) > 1, name


@pytest.mark.gen_test(timeout=60)
async def test_api_12_both_transports_give_the_same_verdict(stack: Stack) -> None:
    """The expected one, for valid and invalid input alike, with the same params and the same fields of a reply."""
    over_socket = await verdicts(OverSocket(stack, "zh-CN"), await world_of(stack, 15400000010))
    over_rest = await verdicts(OverRest(stack.rest(), "zh-CN"), await world_of(stack, 15400000020))
    for case, one, two in zip(CASES, over_socket, over_rest, strict=True):
        shown = (case[0], ascii(case[1])[:200])
        assert (one.code, two.code) == (case[2], case[2]), shown
        if one.error and two.error:
            assert set(one.error["params"]) == set(two.error["params"]), shown
            if "retry_after" not in one.error["params"]:  # Time goes on between them.
                assert one.error["params"] == two.error["params"], shown
                assert one.error["message"] == two.error["message"], shown
        if one.data and two.data:
            assert set(one.data) == set(two.data), shown


@pytest.mark.gen_test(timeout=60)
async def test_api_12_every_error_has_the_one_shape_in_both_languages(stack: Stack) -> None:
    """Code, text, params and request id on both transports; the text is another one in the other language."""
    chinese = await verdicts(OverSocket(stack, "zh-CN"), await world_of(stack, 15400000010))
    english = await verdicts(OverRest(stack.rest(), "en"), await world_of(stack, 15400000020))
    for one, two in zip(chinese, english, strict=True):
        if one.error and two.error:
            assert one.error["message"] != two.error["message"], one.code
            assert two.error["message"].isascii(), one.code


@pytest.mark.parametrize("name", [row.name for row in OPERATIONS.values() if row.uses_cookie])
@pytest.mark.gen_test(timeout=60)
async def test_api_12_what_acts_on_the_cookie_has_no_websocket_form(stack: Stack, name: str) -> None:
    """A socket sends no cookies later on, so it cannot ask for these."""
    page = await stack.page()
    assert (await page.ask(name))["data"]["code"] == "message_unknown"


@pytest.mark.gen_test(timeout=60)
async def test_api_10_a_fault_of_ours_tells_nothing(stack: Stack) -> None:
    """`internal_error` and no more, whatever went wrong in an operation."""

    async def broken(*_: Any) -> Any:
        raise KeyError("secret")

    row = dataclasses.replace(OPERATIONS["ping"], run=broken)
    with pytest.raises(AppError) as caught:
        await stack.dispatcher.run(row, Caller(address="127.0.0.1", request_id="r"), {})
    assert caught.value.status == 500
    for locale in LOCALES:
        body = error_body(caught.value, locale, "r")
        assert body["code"] == "internal_error"
        assert body["params"] == {}
        assert "secret" not in str(body)
