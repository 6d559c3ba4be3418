"""Every refusal: one exception, one catalogue, one shape on the wire.

Texts live in `locales/` under `error.<code>` and are filled in at the edge.
"""

import math
from typing import Any

# Code -> HTTP status.
ERRORS: dict[str, int] = {
    "validation_failed": 400,
    "mobile_invalid": 400,
    "json_invalid": 400,
    "request_invalid": 400,
    "message_unknown": 400,
    "mobile_taken": 409,
    "claim_refused": 409,
    "check_unavailable": 503,
    "captcha_required": 403,
    "captcha_failed": 400,
    "sms_too_soon": 429,
    "sms_limit": 429,
    "sms_budget_exhausted": 503,
    "sms_unavailable": 503,
    "consent_required": 400,
    "sms_code_invalid": 400,
    "transaction_unknown": 404,
    "idempotency_conflict": 422,
    "credentials_invalid": 401,
    "method_stopped": 403,
    "account_disabled": 403,
    "token_invalid": 401,
    "not_allowed": 403,
    "number_blocked": 403,
    "address_blocked": 403,
    "job_gone": 409,
    "origin_refused": 403,
    "host_unknown": 421,
    "receipt_refused": 401,
    "rate_limited": 429,
    "result_unknown": 503,
    "busy": 503,
    "unavailable": 503,
    "not_found": 404,
    "method_not_allowed": 405,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "headers_too_large": 431,
    "internal_error": 500,
}

# Why an SMS failed, as its state says; texts under `sms.reason.<code>`.
SMS_REASONS = ("provider_failed", "too_late", "number_refused", "number_limit", "undelivered")


class AppError(Exception):
    """A refusal that the asker is told: `code` from ERRORS, `params` for its text and its machine-readable part."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self.params = params
        self.status = ERRORS[code]


class StoreUnavailable(Exception):
    """Redis or Mongo did not answer, or answered that it cannot: `store` says which. Never means "no"."""

    def __init__(self, store: str, why: str) -> None:
        super().__init__(f"{store}: {why}")
        self.store = store


class VendorUnavailable(Exception):
    """A vendor did not answer, or not as its documents say; the message is for the operator."""


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
