"""Registers a number over the websocket, as the page does.

    .venv/bin/python docs/examples/register.py [http://127.0.0.1:8888] [mobile]

Needs a server in development (`make run`): the code is read from the sandbox's inbox.
"""
# ruff: noqa: S311, T201

import asyncio
import itertools
import json
import random
import sys
from typing import Any

import altcha
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

Frame = dict[str, Any]
ids = itertools.count(1)


async def ask(socket: WebSocketClientConnection, kind: str, **data: Any) -> Frame:
    """Send a request; pushes that come before its answer are shown."""
    request = {"type": kind, "id": next(ids), "data": data}
    await socket.write_message(json.dumps(request))
    while (frame := await receive(socket))["id"] != request["id"]:
        show(frame)
    if frame["type"] == "error":
        sys.exit(f"{kind} was refused: {frame['data']['code']}: {frame['data']['message']}")
    return dict(frame["data"])


async def receive(socket: WebSocketClientConnection) -> Frame:
    """The next frame."""
    raw = await socket.read_message()
    if raw is None:
        sys.exit(f"the server closed the connection ({socket.close_code})")
    return dict(json.loads(raw))


def show(frame: Frame) -> None:
    """One push, in a line."""
    data = frame["data"]
    print(f"  pushed {frame['type']}:", data.get("status") or data.get("remaining", data))


async def main(site: str, mobile: str) -> None:
    """From a number to an account."""
    socket = await websocket_connect(HTTPRequest(f"ws{site[4:]}/ws?lang=en", headers={"Origin": site}))
    print("free:", (await ask(socket, "mobile.check", mobile=mobile))["available"])

    send = {"mobile": mobile, "purpose": "register"}
    offer = await ask(socket, "captcha.new", purpose="register")
    if offer["provider"] == "altcha":
        challenge = altcha.Challenge.from_dict(offer["challenge"])
        solution = await asyncio.to_thread(altcha.solve_challenge, challenge)
        send["captcha"] = altcha.Payload(challenge, solution).to_base64()

    state = await ask(socket, "sms.send", **send)
    print("sms:", state["status"], "to", state["mobile"])
    while state["status"] not in ("delivered", "failed"):
        frame = await receive(socket)
        show(frame)
        state = frame["data"] if frame["type"] == "sms.state" else state

    inbox = json.loads((await AsyncHTTPClient().fetch(f"{site}/dev/inbox.json")).body)
    code = next(sms["code"] for sms in inbox if sms["transaction"] == state["transaction"])
    account = {"mobile": mobile, "password": "correct horse battery", "sms_code": code}
    user = await ask(socket, "user.register", **account, transaction=state["transaction"])
    print("registered:", user["username"], user["mobile"], "for", user["expires_in"], "s")
    socket.close()


if __name__ == "__main__":
    given = dict(enumerate(sys.argv))
    asyncio.run(main(given.get(1, "http://127.0.0.1:8888"), given.get(2, f"154{random.randrange(10**8):08d}")))
