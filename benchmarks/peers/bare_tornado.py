"""A Tornado that only reads and writes JSON: the most that any service on it could do here."""

import asyncio

import orjson
import uvloop
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler


class Echo(WebSocketHandler):
    """Each message comes back."""

    def on_message(self, message: str | bytes) -> None:
        self.write_message(orjson.dumps(orjson.loads(message)))


class Number(RequestHandler):
    """Every number is free."""

    def get(self, mobile: str) -> None:
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(orjson.dumps({"mobile": mobile, "available": True}))


async def main() -> None:
    """Serve until the benchmark ends this process."""
    app = Application([(r"/ws", Echo), (r"/user/mobile/([^/]*)/", Number)], log_function=lambda handler: None)
    server = HTTPServer(app)
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    print(f"Bare Tornado is ready: http://127.0.0.1:{sockets[0].getsockname()[1]}/", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
