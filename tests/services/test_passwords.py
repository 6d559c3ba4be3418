"""Passwords are hashed well, off the loop, and never kept."""

import asyncio
import base64
import io
from collections.abc import Callable, Coroutine
from typing import Any

import bcrypt
import pytest

from server.errors import AppError, StoreUnavailable
from server.keys import KeyRing, parse_ring
from server.metrics import Metrics
from server.services import passwords as module
from server.services.passwords import PasswordService
from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD
from tests.test_flows import register

pytestmark = pytest.mark.gen_test(timeout=60)
Start = Callable[..., Coroutine[Any, Any, Stack]]
_NEWER = "t2:" + base64.b64encode(bytes(range(1, 33))).decode()
_OLDER = "t1:" + base64.b64encode(bytes(range(101, 133))).decode()
_RING = KeyRing((("p1", b"1" * 32),))


def _service(ring: KeyRing = _RING, cost: int = 10) -> PasswordService:
    return PasswordService(peppers=ring, cost=cost, metrics=Metrics())


async def test_pw_3_passwords_longer_than_bcrypt_reads_are_told_apart() -> None:
    """64 four-byte characters, and two that agree in their first 72 bytes."""
    service = _service()
    emoji = "😀" * 64
    assert await service.matches(emoji, await service.hash(emoji))
    stored = await service.hash("a" * 72 + "b")
    assert not await service.matches("a" * 72 + "c", stored)
    assert not await service.matches("a" * 72, stored)


async def test_pw_5_a_hash_with_another_pepper_or_a_lower_cost_is_outdated() -> None:
    """And it still matches, as long as its pepper is kept."""
    old, new = _service(), _service(KeyRing((("p2", b"2" * 32), ("p1", b"1" * 32))), cost=11)
    stored = await old.hash(PASSWORD)
    assert stored.startswith("p1$2b$10$")
    assert await new.matches(PASSWORD, stored)
    assert new.outdated(stored)
    assert not new.outdated(await new.hash(PASSWORD))
    without_it = _service(KeyRing((("p2", b"2" * 32),)))
    assert not await without_it.matches(PASSWORD, stored)


async def test_pw_5_login_upgrades_an_outdated_hash(start: Start) -> None:
    """Once, and the password stays the same."""
    stack = await start(BCRYPT_COST="11")
    page = await stack.page()
    account = await register(stack, page)
    weak = await PasswordService(peppers=stack.settings.ring("PASSWORD_PEPPERS"), cost=10, metrics=Metrics()).hash(
        PASSWORD
    )
    users = stack.mongo.db.users
    await users.update_one({"_id": account["id"]}, {"$set": {"password": weak}})
    for _ in range(2):
        assert (await page.ask("session.login", account=MOBILE, password=PASSWORD))["type"] == "session.opened"
    assert "$2b$11$" in (await users.find_one({"_id": account["id"]}))["password"]


async def test_pw_5_login_renews_a_hash_of_an_older_pepper(start: Start) -> None:
    """With the new pepper once, and then the old one is not needed any more."""
    stack = await start(PASSWORD_PEPPERS=f"{_NEWER},{_OLDER}")
    page, users = await stack.page(), stack.mongo.db.users
    account = await register(stack, page)
    old = await _service(parse_ring("PASSWORD_PEPPERS", _OLDER)).hash(PASSWORD)
    await users.update_one({"_id": account["id"]}, {"$set": {"password": old}})
    for wrong in (PASSWORD + " ", "something else"):
        assert (await page.ask("session.login", account=MOBILE, password=wrong))["type"] == "error"
    assert (await users.find_one({"_id": account["id"]}))["password"] == old
    renewed = []
    for _ in range(2):
        assert (await page.ask("session.login", account=MOBILE, password=PASSWORD))["type"] == "session.opened"
        renewed.append((await users.find_one({"_id": account["id"]}))["password"])
    assert renewed[0] == renewed[1]
    assert renewed[0].startswith("t2$2b$10$")
    assert await _service(parse_ring("PASSWORD_PEPPERS", _NEWER)).matches(PASSWORD, renewed[0])


async def test_pw_5_a_hash_of_a_higher_cost_is_kept(start: Start) -> None:
    """A cost that was lowered again weakens nobody's hash."""
    stack = await start(BCRYPT_COST="10")
    page, users = await stack.page(), stack.mongo.db.users
    account = await register(stack, page)
    strong = await _service(stack.settings.ring("PASSWORD_PEPPERS"), cost=11).hash(PASSWORD)
    await users.update_one({"_id": account["id"]}, {"$set": {"password": strong}})
    assert (await page.ask("session.login", account=MOBILE, password=PASSWORD))["type"] == "session.opened"
    assert (await users.find_one({"_id": account["id"]}))["password"] == strong


async def test_pw_5_a_hash_that_cannot_be_renewed_now_keeps_nobody_out(start: Start, logged: io.StringIO) -> None:
    """The store does not take it: one is signed in, the old hash stays, the log says so, the next login renews it."""
    stack = await start(BCRYPT_COST="11")
    page, users = await stack.page(), stack.mongo.db.users
    account = await register(stack, page)
    weak = await _service(stack.settings.ring("PASSWORD_PEPPERS")).hash(PASSWORD)
    await users.update_one({"_id": account["id"]}, {"$set": {"password": weak}})
    real, stack.services.accounts._users.set_password = (  # type: ignore[method-assign]
        stack.services.accounts._users.set_password,
        _no_store,
    )
    assert (await page.ask("session.login", account=MOBILE, password=PASSWORD))["type"] == "session.opened"
    assert "password.not_upgraded" in logged.getvalue()
    assert (await users.find_one({"_id": account["id"]}))["password"] == weak
    stack.services.accounts._users.set_password = real  # type: ignore[method-assign]
    assert (await page.ask("session.login", account=MOBILE, password=PASSWORD))["type"] == "session.opened"
    assert "$2b$11$" in (await users.find_one({"_id": account["id"]}))["password"]


async def test_pw_5_renewing_never_undoes_a_change_of_the_password(stack: Stack) -> None:
    """Between the comparison and the write somebody set another one: that stands."""
    account = await register(stack, await stack.page())
    store = stack.services.accounts._users
    before = (await stack.mongo.db.users.find_one({"_id": account["id"]}))["password"]
    assert await store.set_password(account["id"], before, "t1$changed")
    assert not await store.set_password(account["id"], before, "t1$renewed")
    assert (await stack.mongo.db.users.find_one({"_id": account["id"]}))["password"] == "t1$changed"


async def _no_store(*_: Any) -> bool:
    raise StoreUnavailable("mongo", "scripted")


async def test_pw_6_a_plain_password_reaches_neither_store_nor_log(logged: io.StringIO, stack: Stack) -> None:
    """Not even for a moment: the document is inserted with its hash (the seed saved the plain one first)."""
    inserted: list[dict[str, Any]] = []
    users = stack.services.accounts._users
    real_insert = users.insert

    async def watch(user: dict[str, Any]) -> bool:
        inserted.append(dict(user))
        return await real_insert(user)

    users.insert = watch  # type: ignore[method-assign]
    await register(stack, await stack.page())
    assert inserted[0]["password"].startswith("t1$2b$")
    keys = [key async for key in stack.redis.client.scan_iter("*")]
    dumps = [await stack.redis.client.dump(key) for key in keys if not key.startswith("{")]
    assert "user.registered" in logged.getvalue()
    for place in (str(inserted), logged.getvalue(), str(dumps)):
        assert PASSWORD not in place


async def test_pw_7_over_its_bound_hashing_refuses_with_a_wait() -> None:
    """503 and Retry-After instead of a queue without end; then it works again."""
    service = _service()
    hashes = [asyncio.ensure_future(service.hash(PASSWORD)) for _ in range(module._WAITING_MAX + 5)]
    done = await asyncio.gather(*hashes, return_exceptions=True)
    refused = [one for one in done if isinstance(one, AppError)]
    assert len(refused) == 5
    assert all(one.code == "busy" and one.params["retry_after"] >= 1 for one in refused)
    assert await service.matches(PASSWORD, await service.hash(PASSWORD))


async def test_pw_7_the_loop_turns_while_passwords_are_hashed() -> None:
    """Hashing is not done in the loop: it goes round many times meanwhile."""
    service = _service(cost=12)
    hashing = asyncio.ensure_future(service.hash(PASSWORD))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10


async def test_pw_8_an_unknown_account_costs_a_hash_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same work is done, against nobody's hash, and it never matches."""
    compared: list[bytes] = []
    real = bcrypt.checkpw

    def count(password: bytes, hashed: bytes) -> bool:
        compared.append(hashed)
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", count)
    service = _service()
    assert not await service.matches("", None)
    known = (await service.hash("")).partition("$")[2]
    (nobody,) = compared
    assert nobody.decode()[:7] == f"${known}"[:7], "of the same cost"
    assert len(nobody) == len(known) + 1
