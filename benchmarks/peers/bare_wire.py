"""A websocket on the plain transport of the loop that only reads and writes JSON: what the wire alone costs a server
in Python, whatever it does with a message."""

import asyncio
from typing import cast

import orjson
import uvloop
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol


class Echo(asyncio.Protocol):
    """Each message comes back."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._frames = ServerProtocol()

    def data_received(self, data: bytes) -> None:
        frames = self._frames
        frames.receive_data(data)
        for event in frames.events_received():
            if isinstance(event, Request):
                frames.send_response(frames.accept(event))
            elif cast(Frame, event).opcode is Opcode.TEXT:
                frames.send_text(orjson.dumps(orjson.loads(cast(Frame, event).data)))
        for answer in frames.data_to_send():
            self._transport.write(answer)
        if frames.close_expected():
            self._transport.close()


async def main() -> None:
    """Serve until the benchmark ends this process."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    print(f"The bare wire is ready: http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
