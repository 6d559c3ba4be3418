"""Schemathesis asks the running service whatever its document allows, and some of what it does not.

The service is the real one, on real stores. Limits are observed, not enforced: otherwise there would soon be nothing
but 429.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import from_schema
from schemathesis.engine.events import NonFatalError, ScenarioFinished

from tests.conftest import Stack
from tests.helpers import MOBILE
from tests.people import bearer, operator

REFUSALS = ["400", "401", "403", "404", "405", "409", "413", "415", "422", "429", "431"]
CHECKS: dict[str, dict[str, Any]] = {
    "not_a_server_error": {},
    "status_code_conformance": {},
    "content_type_conformance": {},
    "response_schema_conformance": {},
    "response_headers_conformance": {},
    "negative_data_rejection": {"expected-statuses": REFUSALS},
    "missing_required_header": {},
    "unsupported_method": {},
    "allow_header_conformance": {},
    "ignored_auth": {},
}


def examined_by(stack: Stack, **headers: str) -> SchemathesisConfig:
    """The same requests each time, and no more than there is time for."""
    return SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "base-url": f"http://127.0.0.1:{stack.port}",
            "headers": headers,
            "continue-on-failure": True,
            "max-redirects": 0,
            # What a poll waits for is the matter of another test.
            "parameters": {"query.wait": 0},
            "request-timeout": 40,
            "checks": {"enabled": False} | {name: {"enabled": True} | CHECKS[name] for name in CHECKS},
            "phases": {"stateful": {"enabled": False}},
            "generation": {"max-examples": 10, "deterministic": True, "database": "none", "no-shrink": True},
        }
    )


def examine(document: dict[str, Any], config: SchemathesisConfig) -> tuple[list[str], Counter[str]]:
    """What was found, and how often each operation was asked. Runs in a thread, as it waits for answers."""
    found: list[str] = []
    asked: Counter[str] = Counter()
    for event in from_schema(schemathesis.openapi.from_dict(document, config=config)).execute():
        if isinstance(event, NonFatalError):
            found.append(f"{event.label}: {event.value!r}")
        if isinstance(event, ScenarioFinished):
            asked[event.recorder.label] += len(event.recorder.interactions)
            found += [*faults_in(event)]
    return found, asked


def faults_in(event: ScenarioFinished) -> Iterator[str]:
    """What failed, and the request to see it with."""
    for checks in event.recorder.checks.values():
        for check in checks:
            if failed := check.failure_info:
                what = f"{failed.failure.title}, {failed.failure.message}"
                yield f"{event.recorder.label}: {what}\n{failed.code_sample}"


@pytest.mark.gen_test(timeout=120)
async def test_the_service_does_what_its_document_says(start: Callable[..., Coroutine[Any, Any, Stack]]) -> None:
    """No 5xx; no status, content type, header or shape that is not in it; what it forbids is refused."""
    stack = await start(LIMITS="observe")
    token = await operator(stack, mobile=MOBILE)
    document = (await stack.rest().get("/openapi.json")).body
    config = examined_by(stack, **bearer(token))
    found, asked = await asyncio.to_thread(examine, document, config)
    assert not found, f"{len(found)} findings\n" + "\n\n".join(found[:20])
    operations = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert {name for name, times in asked.items() if times > 2} == operations
    assert asked.total() > 1000
    # Until the last request there was somebody who may ask for everything.
    assert (await stack.rest().get("/user/me/", **bearer(token))).status == 200
