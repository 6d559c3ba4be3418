"""Texts: Tornado's CSV catalogues, Chinese first. What a person reads is filled in here, at the edge."""

import csv
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import tornado.locale

from server.errors import AppError, FieldFault

LOCALES = {"zh_CN": "zh-CN", "en_US": "en"}
DEFAULT_LOCALE = "zh_CN"
_DIRECTORY = Path(__file__).parent / "locales"
_FOR_THE_BROWSER = ("page.", "error.", "field.", "sms.")


def load_texts() -> None:
    """Read the catalogues; call once before the first text is needed."""
    tornado.locale.load_translations(str(_DIRECTORY), encoding="utf-8")
    tornado.locale.set_default_locale(DEFAULT_LOCALE)


@lru_cache(maxsize=1000)
def pick_locale(lang: str, accept_language: str) -> str:
    """The locale for `?lang=` if it names one, else the first of Accept-Language that we speak, else Chinese."""
    wanted = [lang, *(part.partition(";")[0].strip() for part in _by_weight(accept_language))]
    for language in wanted:
        family = language.lower().replace("_", "-").partition("-")[0]
        for locale in LOCALES:
            if family == locale.partition("_")[0]:
                return locale
    return DEFAULT_LOCALE


def _by_weight(accept_language: str) -> list[str]:
    parts = [part for part in accept_language[:512].split(",") if _weight(part) > 0]
    return sorted(parts, key=_weight, reverse=True)


def _weight(part: str) -> float:
    try:
        return float(part.replace(" ", "").partition(";q=")[2] or 1)
    except ValueError:
        return 0.001  # Not readable, but named.


def text(locale: str, key: str, params: dict[str, Any] | None = None) -> str:
    """The text of `key`, its placeholders filled from `params`."""
    found = tornado.locale.get(locale).translate(key)
    return found % params if params else found


@cache
def browser_texts(locale: str, *, admin: bool = False) -> dict[str, str]:
    """All texts that a page fills in by itself; the monitor has more of them."""
    wanted = (*_FOR_THE_BROWSER, "ops.") if admin else _FOR_THE_BROWSER
    with (_DIRECTORY / f"{locale}.csv").open(encoding="utf-8", newline="") as file:
        return {row[0]: row[1] for row in csv.reader(file) if row and row[0].startswith(wanted)}


def error_body(fault: AppError, locale: str, request_id: str) -> dict[str, Any]:
    """The one shape of every error (docs/rest.md)."""
    params = dict(fault.params)
    if "fields" in params:
        params["fields"] = {
            name: [_field_text(locale, one) for one in found] for name, found in params["fields"].items()
        }
    return {
        "code": fault.code,
        "message": text(locale, f"error.{fault.code}", params or None),
        "params": params,
        "request_id": request_id,
    }


def _field_text(locale: str, fault: str) -> str:
    return text(locale, fault, fault.params if isinstance(fault, FieldFault) else None)


def localised(data: dict[str, Any], locale: str) -> dict[str, Any]:
    """A reply or push with the text of its reason, if it has one, and its devices in words."""
    if "sessions" in data:
        return {
            **data,
            "sessions": [one | {"device": _device_text(locale, one["device"])} for one in data["sessions"]],
        }
    reason = data.get("reason")
    if not isinstance(reason, dict):
        return data
    return {**data, "reason": {**reason, "message": text(locale, f"sms.reason.{reason['code']}")}}


def _device_text(locale: str, device: str) -> str:
    return " · ".join(text(locale, f"device.{word}") for word in device.split())
