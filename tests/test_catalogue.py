"""Tables that must agree: errors and texts, both languages, schemas and texts, settings and their page."""

import csv
import dataclasses
import re
from pathlib import Path

import pytest

from server.audit_events import EVENTS
from server.errors import ERRORS, SMS_REASONS
from server.i18n import LOCALES
from server.limit_rules import LimitRules
from server.schemas.code import SMS_PURPOSES
from server.services.notices import NOTICES
from server.settings import Settings
from server.sms.faults import FAULTS
from tests.helpers import ROOT

_PLACE = re.compile(r"%(?:\((\w+)\)s|.)")


def rows_of(locale: str) -> list[list[str]]:
    with (ROOT / "server" / "locales" / f"{locale}.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.reader(file) if row]


TEXTS = {locale: {row[0]: row[1] for row in rows_of(locale)} for locale in LOCALES}
KEYS = {key for texts in TEXTS.values() for key in texts}


def keys_with(prefix: str) -> set[str]:
    return {key.removeprefix(prefix) for key in KEYS if key.startswith(prefix)}


def source_of(*places: str) -> str:
    """All files of these patterns as one text."""
    return "\n".join(path.read_text(encoding="utf-8") for place in places for path in sorted(ROOT.glob(place)))


@pytest.mark.parametrize("locale", LOCALES)
def test_each_text_stands_once_and_says_something(locale: str) -> None:
    """One row per key, two columns, no empty text."""
    rows = rows_of(locale)
    assert {len(row) for row in rows} == {2}
    assert len(TEXTS[locale]) == len(rows)
    assert not [key for key, text in rows if not text.strip() or key != key.strip()]


def test_both_languages_have_the_same_keys() -> None:
    """What can be said in one can be said in the other."""
    chinese, english = (set(texts) for texts in TEXTS.values())
    assert chinese ^ english == set()


def test_both_languages_have_the_same_places() -> None:
    """A text is filled from the same params in each, and only by name."""
    for key in KEYS:
        places = [sorted(match[1] or match[0] for match in _PLACE.finditer(texts[key])) for texts in TEXTS.values()]
        assert places[0] == places[1], key
        assert not [place for place in places[0] if place.startswith("%")], key


def test_every_error_has_a_text_and_every_text_an_error() -> None:
    """The catalogue of errors is the catalogue of their texts."""
    assert keys_with("error.") ^ set(ERRORS) == set()


def test_every_fault_of_a_field_has_a_text() -> None:
    """And no text of a fault is left over."""
    used = set(re.findall(r'"field\.(\w+)"', source_of("server/**/*.py")))
    assert used ^ keys_with("field.") == set()


def test_every_sms_has_its_texts() -> None:
    """One per purpose and per notice, and one per reason for a failure, which is documented too."""
    assert keys_with("sms.text.") == {*SMS_PURPOSES, *(f"notice-{kind}" for kind in NOTICES)}
    assert keys_with("sms.reason.") == set(SMS_REASONS)
    page = (ROOT / "docs" / "realtime.md").read_text(encoding="utf-8")
    assert {reason for reason in SMS_REASONS if f"| `{reason}` |" not in page} == set()


def test_every_fault_of_the_sandbox_is_documented() -> None:
    """With the numbers that meet it."""
    page = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
    assert [fault for fault, suffix in FAULTS.items() if f"| `{suffix}` | `{fault}` |" not in page] == []
    assert keys_with("page.fault_") == {key for fault in FAULTS for key in (fault, f"{fault}_what")}


def test_every_setting_is_documented() -> None:
    """By the name that an operator writes."""
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    names = {field.name.upper() for field in dataclasses.fields(Settings) if field.metadata}
    assert {name for name in names if f"`{name}`" not in page} == set()


def test_every_number_of_the_limits_is_documented() -> None:
    """With its default and its help line."""
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for each in dataclasses.fields(LimitRules):
        assert f"| `LIMIT_{each.name.upper()}` | {each.default} | {each.metadata['help']} |" in page


def test_every_setting_says_what_it_is_for() -> None:
    """A field without a help line is one that nobody can set."""
    for field in dataclasses.fields(Settings):
        assert field.name in ("sms_options", "limit_rules") or field.metadata["help"].strip(), field.name


def keys_asked_by(text: str) -> tuple[set[str], set[str]]:
    """The keys that a script or template names whole, and the beginnings of those it puts together."""
    found = re.findall(r"""(["'`])((?:page|ops)\.\w*)(.)""", text)
    whole = {key for quote, key, after in found if after == quote and not key.endswith("_")}
    return whole, {key for _, key, after in found} - whole


def keys_of_pages() -> set[str]:
    return {key for key in KEYS if key.startswith(("page.", "ops."))}


FILES = [path.relative_to(ROOT) for place in ("templates/*.html", "static/js/*.js") for path in ROOT.glob(place)]


@pytest.mark.parametrize("path", sorted(FILES), ids=str)
def test_every_text_that_a_page_asks_for_exists(path: Path) -> None:
    """In templates and scripts, whole keys and put-together ones."""
    whole, beginnings = keys_asked_by((ROOT / path).read_text(encoding="utf-8"))
    known = keys_of_pages()
    assert whole - known == set()
    assert [start for start in beginnings if not any(key.startswith(start) for key in known)] == []


def test_every_event_has_a_text_for_the_monitor() -> None:
    """Those of the audit, and what is told beside them."""
    told = re.findall(r'feed\.note\(\s*f?"([\w.{}]+)"', source_of("server/**/*.py"))
    steps = {f"sms.{status}" for status in ("sending", "accepted", "delivered", "failed")}
    assert {*told} == {"refused", "sms.{status}", "alert.raised"}
    kinds = {*EVENTS, *steps, "refused", "alert.raised", "alert.cleared"}
    assert keys_with("ops.event_") == {kind.replace(".", "_") for kind in kinds}


def test_no_text_of_a_page_is_left_over() -> None:
    """Each is named by a template or a script, or by the beginning of its key."""
    whole, beginnings = keys_asked_by(source_of("templates/*.html", "static/js/*.js"))
    unused = {key for key in keys_of_pages() - whole if not key.startswith(tuple(beginnings))}
    assert unused == set()


def test_each_error_and_each_reason_of_a_failed_sms_is_documented() -> None:
    """With the status that it has, and no other."""
    docs = ROOT / "docs"
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \|", (docs / "rest.md").read_text(), re.MULTILINE)
    assert {code: int(status) for code, status in rows} == ERRORS
    reasons = (docs / "realtime.md").read_text().partition("#### Why an SMS failed")[2].partition("\n#")[0]
    assert re.findall(r"^\| `(\w+)` \|", reasons, re.MULTILINE) == [*SMS_REASONS]
