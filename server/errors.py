"""Every refusal: one exception, one catalogue, one shape on the wire.

Texts live in `locales/` under `error.<code>` and are filled in at the edge.
"""

import logging
import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a code looks over HTTP (`status`) and how loud it is in the log (`level`)."""

    status: int
    level: int = logging.INFO


ERRORS: dict[str, Refusal] = {
    "validation_failed": Refusal(400),
    "mobile_invalid": Refusal(400),
    "json_invalid": Refusal(400),
    "request_invalid": Refusal(400),
    "message_unknown": Refusal(400),
    "mobile_taken": Refusal(409),
    "check_unavailable": Refusal(503, logging.WARNING),
    "captcha_required": Refusal(403),
    "captcha_failed": Refusal(400),
    "sms_too_soon": Refusal(429),
    "sms_limit": Refusal(429),
    "sms_budget_exhausted": Refusal(503, logging.WARNING),
    "sms_code_invalid": Refusal(400),
    "transaction_unknown": Refusal(404),
    "credentials_invalid": Refusal(401),
    "token_invalid": Refusal(401),
    "origin_refused": Refusal(403),
    "host_unknown": Refusal(421),
    "rate_limited": Refusal(429),
    "result_unknown": Refusal(503, logging.WARNING),
    "busy": Refusal(503, logging.WARNING),
    "unavailable": Refusal(503, logging.WARNING),
    "not_found": Refusal(404),
    "method_not_allowed": Refusal(405),
    "payload_too_large": Refusal(413),
    "unsupported_media_type": Refusal(415),
    "headers_too_large": Refusal(431),
    "internal_error": Refusal(500, logging.ERROR),
}


class AppError(Exception):
    """A refusal that the asker is told: `code` from ERRORS, `params` for its text and its machine-readable part."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self.params = params
        self.refusal = ERRORS[code]


class StoreUnavailable(Exception):
    """Redis or Mongo did not answer, or answered that it cannot: `store` says which. Never means "no"."""

    def __init__(self, store: str, why: str) -> None:
        super().__init__(f"{store}: {why}")
        self.store = store


class StoreTooOld(Exception):
    """The server at the other end cannot do what we need; the message says so."""


class FieldFault(str):
    """The text key of one fault of one field, with what its text needs."""

    params: dict[str, Any]

    def __new__(cls, key: str, **params: Any) -> "FieldFault":
        fault = super().__new__(cls, key)
        fault.params = params
        return fault


def wait_s(wait_ms: float) -> int:
    """The wait a refusal tells: whole seconds, rounded up, at least 1 (RFC 9110, 10.2.3)."""
    return max(1, math.ceil(wait_ms / 1000))
