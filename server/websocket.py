"""The wire of a websocket: RFC 6455 by the sans-I/O protocol of `websockets`, on a plain transport of the loop.

Tornado makes the handshake and has the handler; its own frame loop, which waits three times a frame, is not run.
docs/decisions/0022-websocket-transport.md says what of Tornado this leans on.
"""

import asyncio
import codecs
import logging
from collections.abc import Awaitable, Coroutine
from typing import Any, NoReturn, cast

from tornado.httputil import HTTPHeaders
from tornado.iostream import IOStream, StreamClosedError
from tornado.websocket import WebSocketHandler, WebSocketProtocol, WebSocketProtocol13
from websockets.frames import Frame, Opcode
from websockets.protocol import SEND_EOF, SERVER, Protocol, State

# What is read at once is taken in by so much, so that a flood of tiny frames leaves the loop to others.
SLICE_BYTES = 2048
WAITING_MAX = 16
# Above this much unsent the page is asked to read first, and of each state only the latest is kept for it.
UNSENT_HIGH_BYTES = 32 * 1024
LINGER_S = 5
_PIPELINED_MAX = 1024 * 1024
_INVALID_DATA, _TOO_BIG, _NO_STATUS = 1007, 1009, 1005
_WHOLE_TEXT, _TWO_BYTES, _LONGEST_OF_TWO_BYTES = 0x81, 126, 0xFFFF  # RFC 6455, 5.2
_CONTROL_MAX = 125  # a ping must find room beside a message that is nearly full
_log = logging.getLogger("server.websocket.wire")
_log.setLevel(logging.WARNING)  # that a connection has closed is no news


def _text_frame(message: bytes) -> bytes:
    """Nearly all are short, and those take a quarter of the time so."""
    size = len(message)
    if size < _TWO_BYTES:
        return bytes((_WHOLE_TEXT, size)) + message
    if size <= _LONGEST_OF_TWO_BYTES:
        return bytes((_WHOLE_TEXT, _TWO_BYTES, size >> 8, size & 0xFF)) + message
    return Frame(Opcode.TEXT, message).serialize(mask=False)


class SansIoProtocol(WebSocketProtocol, asyncio.Protocol):
    """One connection. Messages are handed over one after the other, as Tornado does; what comes meanwhile waits, and
    beyond that the sender does."""

    def __init__(self, handler: WebSocketHandler, *, unsent_max_bytes: int) -> None:
        super().__init__(handler)
        self._handler = handler
        self._unsent_max = unsent_max_bytes
        self._message_max = handler.max_message_size
        self._frames = Protocol(SERVER, max_size=self._message_max + _CONTROL_MAX, logger=_log)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._unread = bytearray()
        self._reading_on = False
        self._waiting: list[str | bytes] = []
        self._fragments: _Fragments | None = None
        self._work: asyncio.Future[None] | None = None
        self._opened = self._finished = self._pong_due = self._backed_up = self._lingering = False
        self._latest: dict[str, bytes] = {}
        self._timer: asyncio.TimerHandle | None = None

    # The handshake, and the way from Tornado's stream to a transport.

    async def accept_connection(self, handler: WebSocketHandler) -> None:
        """Answer the handshake and open the page; returns when it is open."""
        handler.clear_header("Content-Type")
        handler.set_status(101)
        handler.set_header("Upgrade", "websocket")
        handler.set_header("Connection", "Upgrade")
        accept = WebSocketProtocol13.compute_accept_value(handler.request.headers["Sec-WebSocket-Key"])
        handler.set_header("Sec-WebSocket-Accept", accept)
        sent = handler.finish()
        stream = handler.detach()
        try:
            await sent
            self._unread += await _leave(stream)
            await self._loop.connect_accepted_socket(lambda: self, stream.socket)
        except OSError:  # StreamClosedError is one: the client left
            self._finish()
            return
        _forget_handshake(handler)
        self.start_pinging()
        try:
            opening = handler.open(*handler.open_args, **handler.open_kwargs)
            if opening is not None:
                await opening
        except Exception as fault:
            self._fail(fault)
        self._opened = True
        self._hand_over()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(UNSENT_HIGH_BYTES)

    # What arrives.

    def data_received(self, data: bytes) -> None:
        if self._unread or len(data) > SLICE_BYTES or len(self._waiting) >= WAITING_MAX:
            self._unread += data
            self._transport.pause_reading()
            self._read_soon()
        else:
            self._take_in(data)

    def eof_received(self) -> None:
        """A page that sends no more is gone; the transport then closes itself, once what is unsent has been read."""
        self._frames.receive_eof()
        self._finish()
        self._linger()

    def connection_lost(self, fault: Exception | None) -> None:
        self._frames.receive_eof()
        self._finish()
        self._set_timer(None)
        # Both hold the protocol that holds them: a KiB for each page, until the collector of cycles comes.
        self._frames.parser.close()
        if self._frames.parser_exc is not None:
            self._frames.parser_exc.__traceback__ = None

    def _read_soon(self) -> None:
        if self._unread and not self._reading_on:
            self._reading_on = True
            self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        """The next slice of what had to wait."""
        self._reading_on = False
        if self._backed_up or len(self._waiting) >= WAITING_MAX:
            return
        some = bytes(self._unread[:SLICE_BYTES])
        del self._unread[:SLICE_BYTES]
        self._take_in(some)
        self._read_soon()
        self._resume_reading()

    def _resume_reading(self) -> None:
        if not self._unread and not self._backed_up and not self._transport.is_closing():
            self._transport.resume_reading()

    def _take_in(self, data: bytes) -> None:
        if self._finished:
            return
        frames = self._frames
        frames.receive_data(data)
        for frame in frames.events_received():
            self._take(cast(Frame, frame))
        self._flush()
        if frames.parser_exc is not None:
            self._finish()

    def _take(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is Opcode.PONG:
            self._pong_due = False
        elif opcode is Opcode.CLOSE:
            self._finish()
        elif opcode is not Opcode.PING and self._frames.state is State.OPEN:
            try:
                self._take_data(frame)
            except UnicodeDecodeError:
                self._refuse(_INVALID_DATA, "not UTF-8")

    def _refuse(self, code: int, reason: str) -> None:
        self._frames.fail(code, reason)
        self._finish()

    def _take_data(self, frame: Frame) -> None:
        """A message, or a part of one; UnicodeDecodeError as soon as it is no text."""
        if len(frame.data) + (self._fragments.size if self._fragments else 0) > self._message_max:
            self._refuse(_TOO_BIG, "message too big")
            return
        message: str | bytes | None
        if frame.fin and frame.opcode is not Opcode.CONT:
            message = str(frame.data, "utf-8") if frame.opcode is Opcode.TEXT else bytes(frame.data)
        else:
            if self._fragments is None:
                self._fragments = _Fragments(frame.opcode is Opcode.TEXT)
            message = self._fragments.add(bytes(frame.data), frame.fin)
            if message is None:
                return
            self._fragments = None
        self._waiting.append(message)
        self._hand_over()

    # What the handler does with it.

    def _hand_over(self) -> None:
        """The next message, unless one is being answered."""
        while self._waiting and self._opened and self._work is None and self._frames.state is State.OPEN:
            try:
                work = self._handler.on_message(self._waiting.pop(0))
            except Exception as fault:
                self._fail(fault)
                return
            if work is not None:
                self._work = _started(work, self._loop)
                self._work.add_done_callback(self._answered)
        self._read_soon()

    def _answered(self, work: "asyncio.Future[None]") -> None:
        self._work = None
        fault = asyncio.CancelledError() if work.cancelled() else work.exception()
        if fault is not None:
            self._fail(fault)
        self._hand_over()

    def _fail(self, fault: BaseException) -> None:
        self._handler.log_exception(type(fault), fault, fault.__traceback__)
        self.abort()

    def _finish(self) -> None:
        """Nothing more comes from this page: the handler hears of it, once."""
        if self._finished:
            return
        self._finished = True
        self._waiting.clear()
        close = self._frames.close_rcvd
        if close is None or close.code == _NO_STATUS:
            self._handler.on_ws_connection_close(None, None)
        else:
            self._handler.on_ws_connection_close(close.code, close.reason)

    # What is sent.

    def send(self, message: bytes) -> None:
        """A text message. Nothing happens if the page is going; one that does not read is cut off."""
        if self._finished or self._frames.state is not State.OPEN:
            return
        self._transport.write(_text_frame(message))
        if self._backed_up and self._transport.get_write_buffer_size() > self._unsent_max:
            self.abort()

    def send_latest(self, key: str, message: bytes) -> None:
        """A message that makes earlier ones of that `key` useless: while the page does not read, one is kept."""
        if self._backed_up:
            self._latest.pop(key, None)  # so that what is newest goes last
            self._latest[key] = message
        else:
            self.send(message)

    def pause_writing(self) -> None:
        self._backed_up = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._backed_up = False
        latest, self._latest = self._latest, {}
        for message in latest.values():
            self.send(message)
        self._read_soon()
        self._resume_reading()

    def _flush(self) -> None:
        """Pass on what the protocol wants sent; after its last word the page has a moment to read it."""
        for data in self._frames.data_to_send():
            if data is not SEND_EOF:
                self._transport.write(data)
            elif not self._transport.is_closing():
                self._transport.write_eof()
        if self._frames.close_expected():
            self._linger()

    def _linger(self) -> None:
        """The page has a moment to read our last words."""
        if not self._lingering:
            self._lingering = True
            self._set_timer(self._loop.call_later(LINGER_S, self.abort))

    def abort(self) -> None:
        """End it at once, whatever is unsent."""
        self._transport.abort()
        self._finish()

    # What else Tornado asks of a protocol.

    def on_connection_close(self) -> None:
        """We tell the handler that it is over; it need not tell us."""

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        if self._frames.state is State.OPEN:
            self._frames.send_close(code, reason or "")
            self._flush()

    def is_closing(self) -> bool:
        return self._frames.state is not State.OPEN

    def write_message(self, message: Any, binary: bool = False) -> NoReturn:
        """Nobody waits until a page has read something: see `send`."""
        raise NotImplementedError

    def write_ping(self, data: bytes) -> None:
        self._frames.send_ping(data)
        self._flush()

    def start_pinging(self) -> None:
        """A ping now and then; whoever does not answer is gone."""
        self._set_timer(self._loop.call_later(self._handler.ping_interval or 0, self._ping))

    def _ping(self) -> None:
        self._pong_due = True
        self.write_ping(b"")
        self._set_timer(self._loop.call_later(self._handler.ping_timeout or 0, self._judge_pong))

    def _judge_pong(self) -> None:
        if self._pong_due:
            self.abort()
            return
        pause_s = (self._handler.ping_interval or 0) - (self._handler.ping_timeout or 0)
        self._set_timer(self._loop.call_later(pause_s, self._ping))

    def _set_timer(self, timer: asyncio.TimerHandle | None) -> None:
        """There is one: for the next ping, its answer, or the end."""
        if self._timer:
            self._timer.cancel()
        self._timer = timer

    def set_nodelay(self, x: bool) -> None:
        """The loop's transports have no delay."""

    @property
    def selected_subprotocol(self) -> str | None:
        return None

    def _process_server_headers(self, key: Any, headers: Any) -> NoReturn:
        raise NotImplementedError  # of clients

    async def _receive_frame_loop(self) -> NoReturn:
        raise NotImplementedError  # of clients


class _Fragments:
    """The parts of one message. Text is judged part by part; empty ones, which no limit counts, are not kept."""

    def __init__(self, text: bool) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")() if text else None
        self._parts: list[Any] = []
        self.size = 0

    def add(self, data: bytes, last: bool) -> str | bytes | None:
        """The whole message, if this was its last part; UnicodeDecodeError."""
        self.size += len(data)
        part = self._decoder.decode(data, last) if self._decoder else data
        if part:
            self._parts.append(part)
        if not last:
            return None
        return "".join(self._parts) if self._decoder else b"".join(self._parts)


def _started(work: Awaitable[None], loop: asyncio.AbstractEventLoop) -> "asyncio.Future[None]":
    if isinstance(work, asyncio.Future):
        return work
    return loop.create_task(cast(Coroutine[Any, Any, None], work))


def _forget_handshake(handler: WebSocketHandler) -> None:
    """A page is open for hours; what it came with would be a third of the memory that it takes."""
    handler.request.headers = HTTPHeaders()
    handler.request.connection = handler.request.server_connection = None
    handler._headers = HTTPHeaders()


async def _leave(stream: IOStream) -> bytes:
    """Let Tornado's stream go of its socket; what it has already read. StreamClosedError if the client left."""
    reading = asyncio.ensure_future(stream.read_bytes(_PIPELINED_MAX, partial=True))
    unread = await reading if reading.done() else b""
    if stream.closed():  # it left while we read
        raise StreamClosedError
    stream.io_loop.remove_handler(stream.fileno())
    return unread
