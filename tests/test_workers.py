"""PROCESSES: workers on one port under one parent."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.helpers import MOBILE, PASSWORD, ROOT, PageClient, RestClient, ServerProcess
from tests.test_start import start_in_vain

pytestmark = pytest.mark.gen_test(timeout=120)


def _children(pid: int) -> set[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in found}


async def _until(true: object, what: str) -> None:
    """Other processes can only be polled."""
    async with asyncio.timeout(30):
        while not true():  # type: ignore[operator]
            await asyncio.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def _pages_open(rest: RestClient) -> float:
    text = bytes((await rest.get("/metrics")).body).decode()
    return float(re.findall(r"^haoma_pages_open ([0-9.]+)$", text, re.MULTILINE)[0])


async def test_workers_share_a_port_and_count_together(tmp_path: Path) -> None:
    """Whichever answers: one service, one sum of metrics; all end with the parent, with status 0."""
    server = await ServerProcess.start(tmp_path / "var", PROCESSES="2")
    workers = _children(server.process.pid)
    assert len(workers) == 2
    rest = RestClient(server.port)
    pages = [await PageClient.open(server.port) for _ in range(12)]
    for page in pages:
        assert (await page.ask("mobile.check", mobile=MOBILE))["data"]["available"] is True
    assert {await _pages_open(rest) for _ in range(10)} == {12}
    for page in pages:
        await page.close()
    assert await server.stop() == 0
    await _until(lambda: not any(map(_alive, workers)), "no worker is left")


async def test_a_worker_that_dies_is_replaced_and_nobody_is_refused_meanwhile(tmp_path: Path) -> None:
    """The other one goes on answering; the page of the dead one comes back to a living one."""
    server = await ServerProcess.start(tmp_path / "var", PROCESSES="2")
    victim, other = _children(server.process.pid)
    os.kill(victim, signal.SIGKILL)
    statuses: list[int] = []
    for _ in range(20):
        rest = RestClient(server.port)  # a new connection, so that any worker may take it
        statuses.append((await rest.get(f"/user/mobile/{MOBILE}/")).status)
        rest.close()
    assert statuses.count(200) >= 19  # the kernel may have given one to the dead
    await _until(lambda: len(_children(server.process.pid) - {victim}) == 2, "two workers again")
    assert other in _children(server.process.pid)
    assert await server.stop() == 0


async def test_a_hangup_replaces_the_workers_one_by_one(tmp_path: Path) -> None:
    """There is always one that answers: no request is refused."""
    server = await ServerProcess.start(tmp_path / "var", PROCESSES="2")
    before = _children(server.process.pid)
    server.process.send_signal(signal.SIGHUP)
    statuses: list[int] = []

    async def ask() -> None:
        while True:
            rest = RestClient(server.port)
            statuses.append((await rest.get("/register")).status)
            rest.close()

    asking = [asyncio.create_task(ask()) for _ in range(4)]
    server.process.send_signal(signal.SIGHUP)  # one more while they are being replaced changes nothing
    await _until(lambda: len(now := _children(server.process.pid)) == 2 and not now & before, "two new workers")
    failed = [task.exception() for task in asking if task.done()]
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert failed == []
    assert set(statuses) == {200}
    assert await server.stop() == 0


async def _stays(port: int, transaction: str, seen: list[int]) -> None:
    """A page that comes back each time that it is sent away. Every try has to succeed."""
    while True:
        page = await PageClient.open(port)
        try:
            seen.append((await page.ask("sms.watch", transaction=transaction))["data"]["seq"])
            await asyncio.wait([page.closed])
        finally:
            await page.close()
        assert (await page.closed)[0] == 1001
        assert [event["type"] for event in page.unasked].count("server.closing") == 1


async def test_a_rolling_restart_keeps_no_page_out_and_loses_no_sms(tmp_path: Path) -> None:
    """Each page is told before it is sent away, gets in again at its first try, and finds its SMS as it was."""
    server = await ServerProcess.start(tmp_path / "var", PROCESSES="2")
    rest = RestClient(server.port)
    sent = (await rest.post("/user/sms/", {"mobile": MOBILE, "purpose": "register"})).body["transaction"]
    while (await rest.get(f"/user/sms/{sent}/")).body["status"] != "delivered":
        pass
    before = _children(server.process.pid)
    seen: list[list[int]] = [[] for _ in range(10)]
    pages = [asyncio.create_task(_stays(server.port, sent, each)) for each in seen]
    await _until(lambda: all(seen), "all pages are open")
    server.process.send_signal(signal.SIGHUP)
    await _until(lambda: len(now := _children(server.process.pid)) == 2 and not now & before, "two new workers")
    await _until(lambda: all(len(each) > 1 for each in seen), "all pages are back")
    assert [page.exception() for page in pages if page.done()] == []
    assert len({seq for each in seen for seq in each}) == 1
    for page in pages:
        page.cancel()
    await asyncio.gather(*pages, return_exceptions=True)
    assert await server.stop() == 0


async def test_an_operator_drains_the_process_he_looks_through(tmp_path: Path) -> None:
    """He has the answer, and is told to come back; the process ends well."""
    server = await ServerProcess.start(tmp_path / "var")
    rest = RestClient(server.port)
    sent = (await rest.post("/user/sms/", {"mobile": MOBILE, "purpose": "register"})).body["transaction"]
    inbox: list[dict[str, str]] = []
    while not inbox:
        inbox = (await rest.get("/dev/inbox.json")).body
    form = {"mobile": MOBILE, "password": PASSWORD, "sms_code": inbox[0]["code"], "transaction": sent}
    made = await rest.post("/user/", form)
    environ = os.environ | {"VAR_DIR": str(tmp_path / "var"), "PYTHONPATH": "."}
    tool = await asyncio.create_subprocess_exec(sys.executable, "tools/make_admin.py", MOBILE, cwd=ROOT, env=environ)
    assert await tool.wait() == 0
    bearer = {"Authorization": f"Bearer {made.body['token']}"}
    ticket = (await rest.post("/admin/ticket/", {}, **bearer)).body["ticket"]
    page = await PageClient.open(server.port, path=f"/ws/admin?ticket={ticket}")
    (process,) = (await page.next_event("monitor.snapshot"))["data"]["processes"]
    assert (await page.ask("process.drain", id=process["id"]))["type"] == "process.draining"
    assert (await page.next_event("server.closing"))["data"]["retry_after"] >= 1
    assert (await page.closed)[0] == 1001
    async with asyncio.timeout(30):
        assert await server.process.wait() == 0


async def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    """Nobody would end them, and the next start could not have the port."""
    server = await ServerProcess.start(tmp_path / "var", PROCESSES="2")
    workers = _children(server.process.pid)
    await server.kill()
    await _until(lambda: not any(map(_alive, workers)), "no worker is left")


async def test_workers_that_cannot_start_stop_the_start(tmp_path: Path) -> None:
    """With the sentence that a single process would say, and status 1; nothing is left running."""
    status, said = await start_in_vain(tmp_path, PROCESSES="2", SMS_PROVIDERS="aliyun")
    assert status == 1
    assert "SMS_ALIYUN" in said
    status, said = await start_in_vain(tmp_path, PROCESSES="0")
    assert status == 1
    assert "PROCESSES" in said
