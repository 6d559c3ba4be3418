"""FastAPI on uvicorn with Redis, as somebody would begin who has no rules yet: no limit, no captcha, no queue worker,
nobody told. A check costs one call to Redis, a send two."""

import os
import secrets
import socket
from typing import Annotated

import uvicorn
from fastapi import FastAPI, HTTPException, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, Field
from redis.asyncio import Redis

FIRST, INTERVAL_S, EXPIRE_S = 13_000_000_000, 60, 300
Mobile = Annotated[str, Field(pattern=r"^1[3-9][0-9]{9}$")]
app = FastAPI()
redis = Redis.from_url(os.environ["REDIS_URL"])


class Number(BaseModel):
    """A mobile number."""

    mobile: Mobile


class Request(BaseModel):
    """A message of a page."""

    type: str
    id: int
    data: Number


class Checked(Number):
    """What is known of a number."""

    available: bool


class Sent(Number):
    """A code is on its way."""

    transaction: str
    resend_in: int = INTERVAL_S


class Reply(BaseModel):
    """The answer to a message."""

    type: str
    id: int
    data: Checked | Sent


async def check(mobile: str) -> Checked:
    """One bit for each number."""
    return Checked(mobile=mobile, available=not await redis.getbit("taken", int(mobile) - FIRST))


async def send(mobile: str) -> Sent:
    """Take the interval, keep the code, put the SMS in line."""
    if not await redis.set(f"interval:{mobile}", 1, nx=True, ex=INTERVAL_S):
        raise HTTPException(429, "too soon")
    transaction, code = secrets.token_urlsafe(16), f"{secrets.randbelow(1_000_000):06d}"
    async with redis.pipeline() as together:
        together.set(f"code:{transaction}", f"{mobile}:{code}", ex=EXPIRE_S)
        together.rpush("sms", f"{mobile}:{code}")
        await together.execute()
    return Sent(mobile=mobile, transaction=transaction)


@app.get("/user/mobile/{mobile}/")
async def get_mobile(mobile: Mobile) -> Checked:
    """Is it free?"""
    return await check(mobile)


@app.post("/user/sms/")
async def post_sms(number: Number) -> Sent:
    """Send a code."""
    return await send(number.mobile)


@app.websocket("/ws")
async def talk(page: WebSocket) -> None:
    """The same two for a page."""
    await page.accept()
    acts = {"mobile.check": check, "sms.send": send}
    try:
        while True:
            asked = Request.model_validate_json(await page.receive_text())
            reply = Reply(type=asked.type, id=asked.id, data=await acts[asked.type](asked.data.mobile))
            await page.send_text(reply.model_dump_json())
    except WebSocketDisconnect:
        pass


if __name__ == "__main__":
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"FastAPI is ready: http://127.0.0.1:{listening.getsockname()[1]}/", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run([listening])
