"""What every provider promises, held against a stand-in for its vendor."""

import asyncio
import dataclasses
import traceback

import pytest

from server.sms import PROVIDERS
from tests.sms.support import CODE, MOBILE, an_sms, failure_of, vendor_and_provider
from tests.vendors import STAND_INS
from tests.vendors.faults import MODES

pytestmark = [pytest.mark.gen_test(timeout=30), pytest.mark.parametrize("name", PROVIDERS)]

KIND_OF_MODE = {
    "hang": "unknown",
    "html": "unknown",
    "huge": "unknown",
    "huge_length": "unknown",
    "gzip": "unknown",
    "gzip_bomb": "unknown",
    "redirect": "config",
    "cut": "unknown",
    "not_http": "unknown",
    "reset_after_read": "unknown",
}
SECRETS = {
    "yuntongxun": ("AUTH_TOKEN", "c" * 32),
    "aliyun": ("ACCESS_KEY_SECRET", "wrong"),
    "tencent": ("SECRET_KEY", "wrong"),
    "webhook": ("SECRET", "whsec_" + "A" * 43 + "="),
}
KIND_OF_STATUS = {
    "transient": (408, 429, 500, 502, 503),
    "unknown": (504,),
    "config": (301, 303, 307, 400, 401, 403, 404, 405, 410, 413),
}


def test_every_provider_has_a_stand_in(name: str) -> None:
    """So that all promises here are held by all of them, and every way to go wrong has its class."""
    assert set(STAND_INS) == set(PROVIDERS)
    assert set(MODES) == set(KIND_OF_MODE) | {"ok", "status", "error", "body", "reset_before_read"}


async def test_a_message_is_taken_as_it_was_meant(name: str) -> None:
    """The vendor finds the signature right, and in it the mobile, the code, the minutes and our id."""
    async with vendor_and_provider(name) as (vendor, provider):
        result = await provider.send(an_sms())
        taken = vendor.taken[0]
    assert vendor.refusals == []
    assert (taken.key, taken.mobile) == (an_sms().id, MOBILE)
    assert (taken.params["code"], taken.params["minutes"]) == (CODE, "5")
    assert result.message_id == taken.message_id
    assert not result.delivered


async def test_messages_do_not_disturb_each_other(name: str) -> None:
    """A hundred at once are a hundred."""
    async with vendor_and_provider(name) as (vendor, provider):
        results = await asyncio.gather(*(provider.send(an_sms(id=f"{n:032}")) for n in range(100)))
    assert {taken.message_id: taken.key for taken in vendor.taken} == {
        result.message_id: f"{n:032}" for n, result in enumerate(results)
    }


@pytest.mark.parametrize("mode", KIND_OF_MODE)
async def test_pv_6_what_is_no_answer_is_a_failure_of_its_class(name: str, mode: str) -> None:
    """`unknown` wherever the vendor may have the message."""
    async with vendor_and_provider(name, total_s=0.4 if mode == "hang" else 5.0) as (vendor, provider):
        vendor.behave(mode)
        failed = await failure_of(provider)
        assert failed.kind == KIND_OF_MODE[mode]
        assert len(vendor.taken) == MODES[mode][0]


async def test_a_connection_that_is_reset_at_once_has_taken_nothing(name: str) -> None:
    """We may learn that before our request has left, or only after, when it could have been read."""
    async with vendor_and_provider(name) as (vendor, provider):
        vendor.behave("reset_before_read")
        assert (await failure_of(provider)).kind in ("transient", "unknown")
        assert vendor.taken == []


@pytest.mark.parametrize("status", [status for statuses in KIND_OF_STATUS.values() for status in statuses])
async def test_pv_2_a_bare_status_says_whether_to_try_again(name: str, status: int) -> None:
    """The vendor's trouble is tried again, ours is not; a gateway that heard no more leaves it open."""
    async with vendor_and_provider(name) as (vendor, provider):
        vendor.behave("status", status=status)
        failed = await failure_of(provider)
    assert status in KIND_OF_STATUS[failed.kind]
    assert failed.code == f"http-{status}"


@pytest.mark.parametrize("body", ["null", "[]", "1", '"OK"', '{"a":', "[" * 5000, "\x00", "{'a': 1}", '{"a": NaN}'])
async def test_pv_6_a_good_status_with_nonsense_leaves_it_open(name: str, body: str) -> None:
    """Nobody knows whether it was taken."""
    async with vendor_and_provider(name) as (vendor, provider):
        vendor.behave("body", body=body)
        assert (await failure_of(provider)).kind == "unknown"


async def test_a_vendor_that_does_not_listen_has_nothing(name: str) -> None:
    """So the message may go another way at once, and this way again when the vendor is back."""
    async with vendor_and_provider(name) as (vendor, provider):
        await vendor.stop()
        assert (await failure_of(provider)).kind == "transient"
        await vendor.start()
        assert (await provider.send(an_sms())).message_id


async def test_a_vendor_that_recovers_is_used_as_before(name: str) -> None:
    """No failure leaves anything behind."""
    async with vendor_and_provider(name) as (vendor, provider):
        vendor.behave("reset_after_read", times=3)
        for _ in range(3):
            assert (await failure_of(provider)).kind == "unknown"
        assert (await provider.send(an_sms(id="f" * 32))).message_id == vendor.taken[-1].message_id


async def test_pv_6_a_redirect_is_not_followed(name: str) -> None:
    """Wherever it leads: the answer that we judge is the redirect itself."""
    async with vendor_and_provider(name) as (vendor, provider):
        vendor.behave("redirect")
        assert (await failure_of(provider)).code == "http-302"


@pytest.mark.parametrize("mode", ["hang", "error", "body", "status", "reset_after_read"])
async def test_a_failure_names_no_number_code_or_secret(name: str, mode: str) -> None:
    """It goes to logs and metrics, also where the vendor puts such things into its answer."""
    echo = f"{MOBILE} {CODE}"
    async with vendor_and_provider(name, total_s=0.4) as (vendor, provider):
        vendor.behave(mode, code=MOBILE, body=echo)
        failed = await failure_of(provider)
        secrets = [value for value in vendor.environ().values() if len(value) > 8]
    said = f"{failed} {failed!r} {failed.code} {provider!r}" + "".join(traceback.format_exception(failed))
    assert not [word for word in (MOBILE, CODE, *secrets) if word in said]


async def test_a_wrong_secret_is_a_fault_of_ours(name: str) -> None:
    """The stand-in does judge signatures, and nothing is taken."""
    option, wrong = SECRETS[name]
    async with vendor_and_provider(name, **{f"SMS_{name.upper()}_{option}": wrong}) as (vendor, provider):
        assert (await failure_of(provider)).kind == "config"
        assert vendor.taken == []
        assert len(vendor.refusals) == 1


async def test_pv_3_the_same_message_again_carries_the_same_key(name: str) -> None:
    """A vendor that knows repeats sends one SMS, and we count it as taken."""
    async with vendor_and_provider(name) as (vendor, provider):
        vendor.behave("reset_after_read", times=1)
        assert (await failure_of(provider)).kind == "unknown"
        await provider.send(dataclasses.replace(an_sms(), repeated=True))
    assert [taken.key for taken in vendor.taken] == [an_sms().id] * 2
    assert vendor.taken[1].repeat == vendor.knows_repeats
