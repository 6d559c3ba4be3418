"""Where terms are set, nobody gets an account without having agreed, and what was agreed to is kept."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD

pytestmark = pytest.mark.gen_test(timeout=30)
Start = Callable[..., Coroutine[Any, Any, Stack]]
TERMS, PRIVACY = "https://haoma.example/terms-1", "https://haoma.example/privacy-3"


async def _form(stack: Stack) -> dict[str, Any]:
    transaction = (await (await stack.page()).ask("sms.send", mobile=MOBILE, purpose="register"))["data"][
        "transaction"
    ]
    code = (await stack.provider.nth(1)).code
    return {"mobile": MOBILE, "password": PASSWORD, "sms_code": code, "transaction": transaction}


@pytest.mark.parametrize("asked", [{"TERMS_URL": TERMS}, {"PRIVACY_URL": PRIVACY}], ids=["terms", "privacy"])
async def test_who_has_not_agreed_gets_no_account_and_loses_nothing(start: Start, asked: dict[str, str]) -> None:
    """On both transports, more often than a code has attempts or an address has registrations; then it works."""
    stack = await start(**asked)
    form, page, rest = await _form(stack), await stack.page(), stack.rest()
    for given in ({}, {"agree": False}) * 15:
        over_rest = await rest.post("/user/", form | given)
        assert (over_rest.status, over_rest.error["code"]) == (400, "consent_required")
        over_socket = await page.ask("user.register", **form, **given)
        assert over_socket["data"]["code"] == "consent_required"
    assert over_rest.error["params"] == {"terms_url": "", "privacy_url": ""} | {
        name.lower(): url for name, url in asked.items()
    }
    assert await stack.mongo.db.users.find_one({}) is None
    assert (await rest.post("/user/", form | {"agree": True})).status == 201


async def test_the_shape_is_judged_first(start: Start) -> None:
    """All faults of the fields are told before the consent, and a consent that is none is one of them."""
    stack = await start(TERMS_URL=TERMS)
    refused = await stack.rest().post("/user/", {"mobile": MOBILE, "password": "x", "agree": "yes"})
    assert refused.error["code"] == "validation_failed"
    assert {"password", "agree", "sms_code"} <= refused.error["params"]["fields"].keys()


async def test_the_account_keeps_what_was_agreed_to_and_when(start: Start) -> None:
    """By address, which is the version."""
    stack = await start(TERMS_URL=TERMS, PRIVACY_URL=PRIVACY)
    form, before = await _form(stack), stack.clock.now()
    assert (await (await stack.page()).ask("user.register", **form, agree=True))["type"] == "user.registered"
    kept = (await stack.mongo.db.users.find_one({"mobile": MOBILE}))["consent"]
    assert before <= kept.pop("at") <= stack.clock.now()
    assert kept == {"terms_url": TERMS, "privacy_url": PRIVACY}


@pytest.mark.parametrize("given", [{}, {"agree": True}, {"agree": False}], ids=str)
async def test_where_no_terms_are_set_nothing_is_asked_and_nothing_kept(stack: Stack, given: dict[str, bool]) -> None:
    """Agreeing to nothing is no consent."""
    form = await _form(stack)
    assert (await (await stack.page()).ask("user.register", **form, **given))["type"] == "user.registered"
    assert "consent" not in await stack.mongo.db.users.find_one({"mobile": MOBILE})
