"""The shape of registration and login: passwords, codes, all faults at once, nothing undeclared."""

import unicodedata
from typing import Any

import pytest
from marshmallow import ValidationError

from server.password_rule import PasswordRule
from server.schemas.account import Empty, SessionLogin, UserRegister
from server.schemas.base import Rules
from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD

TRANSACTION = "0123abcd." + "A" * 22
GOOD = {"mobile": MOBILE, "password": PASSWORD, "sms_code": "012345", "transaction": TRANSACTION}


class AnyPassword(PasswordRule):
    """For tests of shape alone."""

    def weakness(self, password: str, *, mobile: str = "") -> str | None:
        return None


REGISTER = UserRegister(Rules(password_rule=AnyPassword()))
LOGIN = SessionLogin(Rules())
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
OTHER_TYPES: list[Any] = [1, 0, -1, 1.5, True, False, [], {}, ["a"], {"$ne": None}, {"$gt": ""}, {"$regex": ".*"}]


def password_read(password: str) -> str:
    read: dict[str, Any] = REGISTER.load(GOOD | {"password": password})
    return str(read["password"])


def faults(**given: Any) -> dict[str, list[str]]:
    return REGISTER.validate(GOOD | given)


@pytest.mark.parametrize(
    "password",
    [
        "x" * 8,
        "x" * 64,
        "密" * 8,
        "密" * 64,
        "\U0001f600" * 8,
        "\U0001f600" * 64,
        FAMILY + "x",
        " " * 8,
        "  leading and trailing  ",
        "tab\tand\nnewline",
        "ＦｕｌｌＷｉｄｔｈ",
        "ﬁﬂﬃﬄﬀﬅﬆ①",
        "\u200b\u200bzero width",
        "\u202eright to left",
        "\x01\x02\x03\x7f\x80\x85\xa0control",
        "'; DROP TABLE users; --",
        "MiXeD CaSe",
    ],
    ids=ascii,
)
def test_pw_2_any_characters_make_a_password_and_none_is_changed(password: str) -> None:
    """Nothing is trimmed, folded or cut: what was typed is what counts."""
    assert password_read(password) == password


@pytest.mark.parametrize(
    "password",
    [
        "",
        "x" * 7,
        "x" * 65,
        "密" * 7,
        "密" * 65,
        "\U0001f600" * 7,
        "\U0001f600" * 65,
        FAMILY,
        "e\u0301" * 7,
        " " * 7,
        "x" * 1024,
    ],
    ids=lambda password: f"{len(password)}-{password[:2]!a}",
)
def test_pw_2_length_counts_code_points(password: str) -> None:
    """Not bytes, not UTF-16 units, not glyphs: code points, after NFC."""
    assert faults(password=password) == {"password": ["field.password_length"]}


def test_pw_2_the_length_is_that_of_the_composed_form() -> None:
    """Accents typed apart are one with their letter, for the least and for the most."""
    assert password_read("e\u0301" * 8) == "é" * 8
    assert password_read("e\u0301" * 64) == "é" * 64
    assert faults(password="e\u0301" * 65) == {"password": ["field.password_length"]}


def test_pw_2_two_ways_to_type_one_password_are_one() -> None:
    """NFC at registration and at login, so that another keyboard still gets in; NFKC would join what differs."""
    typed_apart, typed_whole = "e\u0301cole d'e\u0301te\u0301", "école d'été"
    assert password_read(typed_apart) == password_read(typed_whole) == typed_whole
    assert LOGIN.load({"account": "hm_x", "password": typed_apart})["password"] == typed_whole
    for unlike in ("ｐａｓｓｗｏｒｄ", "①②③④⑤⑥⑦⑧", "ﬁsh and chips"):
        assert password_read(unlike) != unicodedata.normalize("NFKC", unlike)


@pytest.mark.parametrize("password", ["\x00" * 8, "pass\x00word", "password\x00", "\ud800" * 8, "pass\udfffword"])
def test_pw_2_nul_and_lone_surrogates_are_refused(password: str) -> None:
    """The two things that no store keeps as they are, in a new password and in a known one."""
    assert faults(password=password) == {"password": ["field.password_characters"]}
    assert LOGIN.validate({"account": "hm_x", "password": password}) == {"password": ["field.password_characters"]}


def test_pw_1_the_operator_sets_the_limits_and_the_text_names_them() -> None:
    """The fault carries the numbers, so that the text can tell them."""
    schema = UserRegister(Rules(password_min=6, password_max=16, password_rule=AnyPassword()))
    assert schema.validate(GOOD | {"password": "x" * 6}) == {}
    with pytest.raises(ValidationError) as caught:
        schema.load(GOOD | {"password": "x" * 17})
    fault = caught.value.messages_dict["password"][0]
    assert fault == "field.password_length"
    assert fault.params == {"min": 6, "max": 16}


def test_a_known_password_has_no_rule_but_the_safe_ones() -> None:
    """Whoever registered under other limits can still sign in."""
    for password in ("", "x", "x" * 500):
        assert LOGIN.load({"account": "hm_x", "password": password})["password"] == password


def test_password2_must_repeat_the_password() -> None:
    """Where it is given; where it is not, nothing is missing."""
    assert faults() == {}
    assert faults(password2=PASSWORD) == {}
    for other in ("", PASSWORD + " ", " " + PASSWORD, PASSWORD.upper(), PASSWORD[:-1]):
        assert faults(password2=other) == {"password2": ["field.password2"]}
    assert "password2" not in REGISTER.load(GOOD | {"password2": PASSWORD})


def test_password2_is_compared_in_its_composed_form() -> None:
    """Typed apart the second time it is still the same password."""
    assert faults(password="école d'été", password2="e\u0301cole d'e\u0301te\u0301") == {}


def test_all_faults_are_told_at_once() -> None:
    """A mismatch of the passwords does not wait until everything else is right."""
    assert REGISTER.validate(
        {"mobile": "154", "password": "short", "password2": "other", "sms_code": "12", "transaction": "", "role": "x"}
    ) == {
        "mobile": ["field.mobile"],
        "password": ["field.password_length"],
        "password2": ["field.password2"],
        "sms_code": ["field.sms_code"],
        "transaction": ["field.invalid"],
        "role": ["field.unknown"],
    }
    assert REGISTER.validate({"password2": "x"}) == {
        name: ["field.required"] for name in ("mobile", "password", "sms_code", "transaction")
    }


@pytest.mark.parametrize("name", ["mobile", "password", "password2", "sms_code", "transaction", "captcha"])
@pytest.mark.parametrize("value", OTHER_TYPES, ids=repr)
def test_api_5_every_text_is_a_string(name: str, value: Any) -> None:
    """Operators, lists, numbers and booleans are faults of their field."""
    assert set(faults(**{name: value})) == {name}
    assert set(LOGIN.validate({"account": value, "password": value})) == {"account", "password"}


@pytest.mark.parametrize("value", ["true", "yes", "1", "", 1, 0, 1.0, [], {}, [True]], ids=repr)
def test_api_5_consent_is_true_or_false(value: Any) -> None:
    """What only looks like a yes is none."""
    assert faults(agree=value) == {"agree": ["field.invalid"]}


@pytest.mark.parametrize("name", ["mobile", "password", "password2", "sms_code", "transaction", "captcha", "agree"])
def test_api_5_null_is_a_missing_value(name: str) -> None:
    """And is told in a text of ours."""
    assert faults(**{name: None}) == {name: ["field.required"]}


@pytest.mark.parametrize(
    "name",
    [
        "role",
        "is_admin",
        "verified",
        "id",
        "_id",
        "username",
        "version",
        "created_at",
        "$set",
        "mobile.x",
        "__proto__",
    ],
)
def test_api_13_unknown_fields_are_refused(name: str) -> None:
    """Whatever a schema does not declare is a fault, even where it is harmless."""
    assert faults(**{name: True}) == {name: ["field.unknown"]}
    assert LOGIN.validate({"account": "hm_x", "password": "x", name: True}) == {name: ["field.unknown"]}
    assert Empty().validate({name: True}) == {name: ["field.unknown"]}


@pytest.mark.parametrize(
    "code",
    [
        "",
        "12345",
        "1234567",
        " 123456",
        "123456 ",
        "123 456",
        "123456\n",
        "+12345",
        "-12345",
        "12345a",
        "1e5000",
        "١٢٣٤٥٦",
        "１２３４５６",
        "12345²",
        "12345\u200b",
        "12345\x00",
    ],
    ids=ascii,
)
def test_seed_10_a_code_is_six_ascii_digits(code: str) -> None:
    """No trailing newline, no other script's digits, nothing unseen."""
    assert faults(sms_code=code) == {"sms_code": ["field.sms_code"]}


def test_a_code_keeps_its_leading_zeros() -> None:
    """It is text, never a number."""
    assert REGISTER.load(GOOD | {"sms_code": "000001"})["sms_code"] == "000001"


def test_an_account_is_a_number_in_any_notation_or_a_name_as_it_is() -> None:
    """Only what is a number by the one rule is made canonical."""
    assert LOGIN.load({"account": "+86 154-0000-0001", "password": "x"})["account"] == MOBILE
    for name in ("hm_abcdefghij", "HM_ABCDEFGHIJ", "15400000001\n", "１５４０００００００１", " hm_x "):
        assert LOGIN.load({"account": name, "password": "x"})["account"] == name


@pytest.mark.gen_test(timeout=30)
async def test_api_13_undeclared_fields_are_never_stored(stack: Stack) -> None:
    """A registration that tries to bring its own role makes no account, and costs no attempt."""
    page, rest = await stack.page(), stack.rest()
    queued = (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    sms = await stack.provider.nth(1)
    asked = GOOD | {"sms_code": sms.code, "transaction": queued["transaction"]}
    for extra in ({"role": "admin"}, {"is_admin": True}, {"verified": True}, {"_id": "x"}):
        refused = await rest.post("/user/", asked | extra)
        assert (refused.status, refused.error["code"]) == (400, "validation_failed")
        assert refused.error["params"]["fields"] == {next(iter(extra)): ["不支持的字段。"]}
        assert (await page.ask("user.register", **asked, **extra))["data"]["code"] == "validation_failed"
    assert await stack.mongo.db.users.count_documents({}) == 0
    assert (await rest.post("/user/", asked)).status == 201
    (user,) = await stack.mongo.db.users.find({}).to_list(None)
    assert set(user) == {"_id", "username", "mobile", "password", "transaction", "version", "created_at"}


@pytest.mark.gen_test(timeout=30)
async def test_api_5_operators_never_reach_the_store(stack: Stack) -> None:
    """An object in place of a text is refused before anything is asked, in Chinese and at its own field."""
    rest = stack.rest()
    for operator in ({"$ne": None}, {"$gt": ""}, ["x"], 1, True):
        refused = await rest.post("/user/login/", {"account": operator, "password": operator})
        assert (refused.status, refused.error["code"]) == (400, "validation_failed")
        assert refused.error["params"]["fields"] == {"account": ["格式有误。"], "password": ["格式有误。"]}


@pytest.mark.gen_test(timeout=30)
async def test_pw_3_sixty_four_wide_characters_register_and_log_in(stack: Stack) -> None:
    """256 bytes are a password like any other, and nothing of it is cut."""
    page, rest = await stack.page(), stack.rest()
    queued = (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    sms = await stack.provider.nth(1)
    password = "".join(chr(0x1F600 + n) for n in range(64))
    asked = GOOD | {"password": password, "sms_code": sms.code, "transaction": queued["transaction"]}
    assert (await rest.post("/user/", asked)).status == 201
    assert (await rest.post("/user/login/", {"account": MOBILE, "password": password})).status == 200
    for other in ("\U0001f600" * 64, password[:-1], password + " ", " " + password):
        assert (await rest.post("/user/login/", {"account": MOBILE, "password": other})).status == 401
