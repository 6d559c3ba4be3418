"""Log lines: events with fields, one shape for ours and for the libraries', mobiles masked in all of them."""

import functools
import json
import logging
import re
import sys
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TextIO

import orjson
import structlog

_MOBILE = re.compile(r"(?<![0-9])((?:\+?86|0086)?1[3-9][0-9])[0-9]{4}([0-9]{4})(?![0-9])")


_SHORTEST = 11
# structlog's own way to do this copies all that is bound, for each request.
_request: ContextVar[str] = ContextVar("request_id", default="")


def mask(mobile: str) -> str:
    """`15400138000` as others may see it: `154****8000`. No number stays none."""
    return f"{mobile[:3]}****{mobile[-4:]}" if mobile else ""


def mask_all(value: Any) -> Any:
    """`value` with every mobile in it masked."""
    if isinstance(value, str):
        found = len(value) >= _SHORTEST and _MOBILE.search(value)
        return _MOBILE.sub(r"\1****\2", value) if found else value
    if isinstance(value, dict):
        return {mask_all(key): mask_all(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [mask_all(child) for child in value]
    return value


def _name_request(_: Any, __: str, line: Any) -> Any:
    if request_id := _request.get():
        line.setdefault("request_id", request_id)
    return line


def _clean_line(_: Any, __: str, line: Any) -> Any:
    """Mobiles are masked, and what a visitor sends makes no line of its own; tracebacks, which are ours, keep their
    breaks."""
    return {key: value if key.startswith("_") else _clean(value, key == "exception") for key, value in line.items()}


def _clean(value: Any, many_lines: bool) -> Any:
    value = mask_all(value)
    return value if not isinstance(value, str) or many_lines or value.isprintable() else _escape(value)


def _escape(value: str) -> str:
    return value.replace("\r", "\\r").replace("\n", "\\n").replace("\x1b", "\\x1b")


def _to_json(line: Any, **_: Any) -> str:
    try:
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # a number of more than 64 bits, half of a surrogate pair
        return json.dumps(line, default=str, skipkeys=True)


class _Lines:
    """Writes the lines of one part of the service where those of the libraries go. A log that cannot be written stops
    nobody."""

    def __init__(self, handler: "logging.StreamHandler[TextIO]", name: str) -> None:
        self._handler = handler
        self.name = name

    def write(self, line: str) -> None:
        self._handler.acquire()
        try:
            self._handler.stream.write(line + "\n")
            self._handler.stream.flush()
        except (OSError, ValueError):  # its disk is full, its reader is gone, it is closed
            pass
        finally:
            self._handler.release()

    info = warning = error = critical = write


def set_up_logs(log_format: str, stream: TextIO = sys.stderr) -> None:
    """Send everything to `stream` as `json` or for a reader (`console`). Our own lines take no way through `logging`,
    which would cost nearly as much again as a line does."""
    shared: list[Any] = [
        _name_request,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.format_exc_info,
        _clean_line,
    ]
    last = (
        structlog.processors.JSONRenderer(serializer=_to_json)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=functools.partial(_Lines, handler),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)


class about_request:  # noqa: N801 (reads as a phrase)
    """Lines written inside name the request they are about."""

    __slots__ = ("_before", "_request_id")

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id

    def __enter__(self) -> None:
        self._before = _request.set(self._request_id)

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None
    ) -> None:
        _request.reset(self._before)


def get_log(name: str) -> Any:
    """A logger whose lines are `log.info("event.name", field=value)`."""
    return structlog.get_logger(name)
