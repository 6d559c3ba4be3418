"""Passwords that are too easy to guess. tests/e2e/test_password.py holds the page to the same rule."""

import pytest

from server.password_rule import PasswordRule, common_passwords
from tests.conftest import Stack
from tests.helpers import PASSWORD
from tests.people import bearer, sign_up

MOBILE = "15498273645"
RULE = PasswordRule(site="示例站Shop", shortest=8)
WEAK = {
    "password": "common",
    "Password1": "common",
    "1QAZ2wsx": "common",
    "woaini1314": "common",
    "5201314520": "common",
    MOBILE: "mobile",
    f"my{MOBILE}!": "mobile",
    MOBILE[-8:]: "mobile",
    "aaaaaaaa": "repeated",
    "ababbaab": "repeated",
    "😀😀😀😀😀😀😀😀": "repeated",
    "12345678": "run",
    "9876543210": "run",
    "78901234": "run",
    "abcdefgh": "run",
    "QWERTYUIOP": "run",
    "lkjhgfdsa": "run",
    "12341234": "run",
    "abcabcabca": "run",
    "haoma2026": "site",
    "HaomaHaoma!": "site",
    "示例站shop123": "site",
}
STRONG = [PASSWORD, "another battery, staple", "haoma is a plant", "密码应该长一点才好", "15499999999!", "x7#kQ2!m"]


@pytest.mark.parametrize(("password", "reason"), WEAK.items())
def test_pw_4_a_password_that_is_guessed_at_once_is_refused_with_its_reason(password: str, reason: str) -> None:
    """In whatever case it is written."""
    assert RULE.weakness(password, mobile=MOBILE) == f"field.password_{reason}"


@pytest.mark.parametrize("password", STRONG)
def test_pw_4_others_are_taken(password: str) -> None:
    """Also long ones with a familiar word in them."""
    assert RULE.weakness(password, mobile=MOBILE) is None


@pytest.mark.parametrize("shortest", [6, 8, 15])
def test_pw_4_the_list_has_what_the_rule_about_length_would_let_pass(shortest: int) -> None:
    """More than three thousand of them, or all there are."""
    common = common_passwords(shortest)
    assert min(map(len, common)) >= shortest
    assert len(common) > (3_000 if shortest <= 8 else 10)
    assert all(word == word.lower() for word in common)


@pytest.mark.gen_test(timeout=30)
async def test_pw_4_otp_14_is_judged_wherever_a_password_is_set_and_before_the_code(stack: Stack) -> None:
    """Registering, resetting, changing; the code is as good as before."""
    made = await sign_up(stack, MOBILE)
    rest = stack.rest()
    code = {"sms_code": "000000", "transaction": "x"}
    weak = {"mobile": MOBILE, "new_password": MOBILE} | code
    for path, body, field in (
        ("/user/", {"mobile": MOBILE, "password": MOBILE} | code, "password"),
        ("/user/password/reset/", weak, "new_password"),
        ("/user/password/", {"password": PASSWORD, "new_password": MOBILE[-8:]}, "new_password"),
    ):
        refused = await rest.post(path, body, **bearer(made.body["token"]))
        assert refused.error["code"] == "validation_failed", path
        assert refused.error["params"]["fields"] == {field: ["密码里不要用手机号，请换一个。"]}
