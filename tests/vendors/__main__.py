"""`python -m tests.vendors aliyun --port 0 --latency-ms 50`: a stand-in vendor as a process of its own.

Prints its address in one line. `GET /_count`, `GET /_sent?after=0`, `POST /_behave {"mode": "hang", "times": 1}`,
`POST /_report {"url": …, "key": …, "delivered": false}`. The settings for it: `STAND_INS[name](port=…).environ()`.
"""

import argparse
import asyncio

import uvloop

from tests.vendors import STAND_INS


async def serve(name: str, port: int, latency_s: float) -> None:
    """Until it is killed."""
    vendor = await STAND_INS[name]().start(port)
    vendor.behave(latency_s=latency_s)
    print(vendor.url, flush=True)  # noqa: T201 - the caller reads it
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.vendors")
    parser.add_argument("name", choices=STAND_INS)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=0)
    given = parser.parse_args()
    try:
        uvloop.run(serve(given.name, given.port, given.latency_ms / 1000))
    except KeyboardInterrupt:
        pass


main()
