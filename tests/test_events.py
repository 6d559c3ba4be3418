"""Who listens hears, however many come and go at once."""

import asyncio
from typing import Any

import pytest
from redis.asyncio.connection import AbstractConnection

from server.events import EventBus, encode
from tests.conftest import Stack

pytestmark = pytest.mark.gen_test(timeout=30)


def _bus(stack: Stack) -> EventBus:
    return stack.services.countdowns._events


async def test_what_is_asked_for_in_one_moment_is_one_command(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """And each is promised by a confirmation of its own."""
    bus, asked = _bus(stack), []
    assert bus._pubsub is not None
    real = bus._pubsub.subscribe

    async def subscribe(*topics: str) -> None:
        asked.append(sorted(topics))
        await real(*topics)

    monkeypatch.setattr(bus._pubsub, "subscribe", subscribe)
    heard: asyncio.Queue[str] = asyncio.Queue()
    names = ["events:x", "events:y", "events:z"]
    await asyncio.gather(*(bus.subscribe(name, lambda topic, _: heard.put_nowait(topic)) for name in names))
    assert asked == [names]
    for name in names:
        await bus.publish(name)
        async with asyncio.timeout(5):
            assert await heard.get() == name


async def test_who_leaves_and_comes_in_one_moment_hears_and_nobody_else_does(stack: Stack) -> None:
    """Whatever the order in which the commands go out."""
    bus, heard = _bus(stack), []
    end: asyncio.Queue[str] = asyncio.Queue()

    def listener(topic: str, data: dict[str, Any]) -> None:
        heard.append((topic, data["n"]))

    await bus.subscribe("events:end", lambda topic, _: end.put_nowait(topic))
    await bus.subscribe("events:a", listener)
    await bus.subscribe("events:b", listener)
    for name in ("events:a", "events:b"):
        bus.unsubscribe(name, listener)
    await bus.subscribe("events:a", listener)
    never = asyncio.create_task(bus.subscribe("events:c", listener))
    await asyncio.sleep(0)
    never.cancel()
    async with asyncio.timeout(5):
        for name in ("events:a", "events:b", "events:c", "events:end"):
            await bus.publish(name, n=1)
        await end.get()
    assert heard == [("events:a", 1)]
    (counts,) = await stack.redis.each("PUBSUB", "NUMSUB", "events:a", "events:b", "events:c")
    assert counts == ["events:a", 1, "events:b", 0, "events:c", 0]


@pytest.mark.parametrize("who", ["comes", "leaves"])
async def test_who_comes_or_leaves_while_it_connects_makes_nobody_deaf(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """One connection is made, and it is the one that is read."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    def listener(topic: str, _: dict[str, Any]) -> None:
        heard.put_nowait(topic)

    bus, connecting, go_on = EventBus(stack.redis, clock=stack.clock), asyncio.Event(), asyncio.Event()
    bus._listeners |= {"events:old": [listener], "events:gone": [listener]}  # as after a connection that broke
    connect = AbstractConnection.connect

    async def slow(self: AbstractConnection) -> None:
        connecting.set()
        await go_on.wait()
        await connect(self)

    monkeypatch.setattr(AbstractConnection, "connect", slow)
    starting = asyncio.create_task(bus.start())
    await connecting.wait()
    coming = None
    if who == "comes":
        coming = asyncio.create_task(bus.subscribe("events:new", listener))
        await asyncio.sleep(0)
    else:
        bus.unsubscribe("events:gone", listener)
    go_on.set()
    await starting
    if coming is not None:  # it is told that there is no connection, and asks again
        await asyncio.gather(coming, return_exceptions=True)
        await bus.subscribe("events:new", listener)
    async with asyncio.timeout(5):
        while bus._wanted or bus._unwanted or bus._asking:
            await asyncio.sleep(0)
        for topic in ("events:old", "events:new")[: 1 + (who == "comes")]:
            await bus.publish(topic)
            assert await heard.get() == topic
        while who == "leaves" and (await stack.redis.each("PUBSUB", "NUMSUB", "events:gone"))[0][1]:
            await asyncio.sleep(0)
    await bus.aclose()


async def test_a_step_can_publish_what_the_bus_would(stack: Stack) -> None:
    """One encoding."""
    bus, heard = _bus(stack), asyncio.Queue[dict[str, Any]]()
    await bus.subscribe("events:a", lambda _, data: heard.put_nowait(data))
    await stack.redis.call("PUBLISH", "events:a", encode({"n": "号"}))
    async with asyncio.timeout(5):
        assert await heard.get() == {"n": "号"}
