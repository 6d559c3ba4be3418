"""What the documents say in words. It stands in docstrings and in `locales/`; here it is only found and cut."""

import inspect
import re
from typing import Any

from server.errors import ERRORS, AppError
from server.i18n import LOCALES, error_body, text
from server.operation import Operation

_SENTENCE = re.compile(r"(.+?)(?:[.;:]|(?<=\?))(?:\s+|$)", re.DOTALL)
_NAMES = re.compile(
    r"(?:`[\w. ]+`(?:, | and )?)+[.:;]?\s*"
)  # of the operations, which a schema's docstring begins with
# What goes with an error beside its wait.
_PARAMS: dict[str, dict[str, Any]] = {
    "validation_failed": {"fields": {"password": ["…"]}},
    "mobile_invalid": {"fields": {"mobile": ["…"]}},
    "captcha_required": {"purpose": "register"},
    "not_allowed": {"role": "operator"},
    "consent_required": {"terms_url": "https://haoma.example/terms", "privacy_url": "https://haoma.example/privacy"},
}
REQUEST_ID = "5f0c9a7be2d41386"


def title_of(row: Operation) -> str:
    """The first sentence of its function's docstring."""
    found = _SENTENCE.match(_clean(row.run.__doc__))
    return found[1] if found else ""


def details_of(row: Operation) -> str:
    """The rest of that docstring, and what the request's schema says."""
    own = _clean(row.run.__doc__)
    found = _SENTENCE.match(own)
    rest = own[found.end() :] if found else ""
    asked = description_of(row.schema.__doc__) if row.schema._declared_fields else ""
    return "\n\n".join(filter(None, (_begun(rest), asked)))


def description_of(docstring: str | None) -> str:
    """A schema's docstring without the names that it begins with."""
    return _begun(_NAMES.sub("", _clean(docstring), count=1))


def error_text(code: str) -> str:
    """What people are told, in each language."""
    return " / ".join(error_text_in(locale, code) for locale in LOCALES)


def error_text_in(locale: str, code: str) -> str:
    """What people are told, in one language."""
    return text(locale, f"error.{code}", {"retry_after": "n"} | _PARAMS.get(code, {}))


def error_example(code: str) -> dict[str, Any]:
    """An error as it is sent."""
    params = _PARAMS.get(code, {}) | ({"retry_after": 42} if waits(code) else {})
    return error_body(AppError(code, **params), "en_US", REQUEST_ID)


def waits(code: str) -> bool:
    """Whether it says when to come back."""
    return ERRORS[code] in (429, 503) or code in ("number_blocked", "address_blocked", "claim_refused")


def _clean(docstring: str | None) -> str:
    """Paragraphs, each on one line."""
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(docstring or "").split("\n\n"))


def _begun(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
