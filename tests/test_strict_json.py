"""JSON as the service reads it: what two parsers could understand differently is refused."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import strict_json
from server.strict_json import MAX_DEPTH, MAX_KEYS, MAX_STRING_BYTES


def refused(raw: bytes | str) -> bool:
    """Handlers take any ValueError for a refusal; nothing else may come out."""
    try:
        strict_json.loads(raw)
    except ValueError:
        return True
    return False


def nested(depth: int) -> bytes:
    """An object that is `depth` containers deep."""
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


def test_api_2_an_object_is_read_in_any_usual_notation() -> None:
    """White space, escapes, order of keys and forms of numbers are the sender's choice."""
    expected = {"b": "中\n", "a": [1, 2.5, True, None]}
    compact = orjson.dumps(expected)
    spaced = json.dumps(expected, indent=2).encode()
    assert strict_json.loads(compact) == expected
    assert strict_json.loads(spaced) == expected
    assert strict_json.loads(spaced.decode()) == expected
    assert strict_json.loads(b"{}") == {}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"a":1,"b":2,"a":3}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":[{"b":1,"b":2}]}',
        b'{"a":[[[{"b":{"c":1,"c":1}}]]]}',
        b'{"":1,"":1}',
        b' { "a" : 1 , "a" : 1 } ',
    ],
)
def test_api_2_duplicate_keys_are_refused_at_any_depth(raw: bytes) -> None:
    """A key that stands twice means one thing to one parser and another to the next."""
    assert refused(raw)
    assert refused(raw.decode())


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1E400", "9" * 5000, "01", "+1", ".5"])
def test_api_2_what_is_no_finite_number_is_refused(number: str) -> None:
    """NaN, infinities and numbers too large for a double are not JSON here."""
    assert refused(f'{{"a":{number}}}')
    assert refused(f'{{"a":[{number}]}}')


def test_api_2_depth_ends_at_its_limit() -> None:
    """The deepest allowed object is read, one level more is not, and no depth breaks the reader."""
    assert not refused(nested(MAX_DEPTH))
    assert refused(nested(MAX_DEPTH + 1))
    for depth in (1000, 2000, 100_000):
        assert refused(nested(depth))
        assert refused(b'{"a":' + b"[" * depth + b"]" * depth + b"}")
        assert refused(b'{"a":' + b"[" * depth)


def test_api_2_width_ends_at_its_limit() -> None:
    """As many keys as allowed are read, one more is not, in lists and at depth too."""
    assert not refused(orjson.dumps({str(n): n for n in range(MAX_KEYS)}))
    assert refused(orjson.dumps({str(n): n for n in range(MAX_KEYS + 1)}))
    assert refused(orjson.dumps({"a": {"b": {str(n): n for n in range(MAX_KEYS + 1)}}}))
    assert refused(orjson.dumps({"a": [0] * (MAX_KEYS + 1)}))


def test_api_2_strings_are_measured_in_bytes() -> None:
    """4 KiB of UTF-8 is read, a byte more is not, whether it is a value or a key."""
    assert not refused(orjson.dumps({"a": "x" * MAX_STRING_BYTES}))
    assert refused(orjson.dumps({"a": "x" * (MAX_STRING_BYTES + 1)}))
    assert refused(orjson.dumps({"a": "中" * (MAX_STRING_BYTES // 3 + 1)}))
    assert refused(orjson.dumps({"a": [{"b": "x" * (MAX_STRING_BYTES + 1)}]}))
    assert refused(orjson.dumps({"x" * (MAX_STRING_BYTES + 1): 1}))


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":"\\ud800"}',
        b'{"a":"\\udc00\\ud800"}',
        b'{"\\udfff":1}',
        b'{"a":"\xed\xa0\x80"}',
        '{"a":"\ud800"}',
        '{"\udfff":1}',
    ],
    ids=ascii,
)
def test_api_2_lone_surrogates_are_refused(raw: bytes | str) -> None:
    """Half a character can be parsed by some and written back by none."""
    assert refused(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"\xef\xbb\xbf{}",
        "\ufeff{}",
        b'{"a":1}\xef\xbb\xbf',
        '{"a":1}'.encode("utf-16"),
        '{"a":1}'.encode("utf-32-le"),
    ],
)
def test_api_2_a_byte_order_mark_is_refused(raw: bytes | str) -> None:
    """JSON between systems is UTF-8 without a mark (RFC 8259, 8.1)."""
    assert refused(raw)


@pytest.mark.parametrize("raw", [b"", b" ", b"null", b"true", b"1", b'"a"', b"[]", b'[{"a":1}]', b"\x00"])
def test_api_2_only_an_object_is_taken(raw: bytes) -> None:
    """A request is one object, nothing else."""
    assert refused(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b'{"a":1}{}',
        b'{"a":1} x',
        b'{"a":1,}',
        b"{'a':1}",
        b"{a:1}",
        b'{"a":1}//',
        b'{"a":"\x00"}',
        b'{"a":"\n"}',
        b'{"a":"\xff"}',
    ],
)
def test_api_2_what_is_almost_json_is_refused(raw: bytes) -> None:
    """No comments, no trailing commas, no raw control characters, nothing after the end."""
    assert refused(raw)


_NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
_VALUES = st.recursive(
    _SCALARS | _NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=8,
)


def depth_of(value: Any) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if children is None else 1 + max(map(depth_of, children), default=0)


@given(st.dictionaries(_NAMES, _VALUES, max_size=4).filter(lambda value: depth_of(value) <= MAX_DEPTH))
def test_api_2_the_standard_parser_reads_the_same(value: dict[str, Any]) -> None:
    """Whatever small object is written, we and the standard library read the same from it, compact or spaced."""
    raw = orjson.dumps(value)
    assert strict_json.loads(raw) == json.loads(raw)
    spaced = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    assert strict_json.loads(spaced) == json.loads(spaced)


@given(st.binary(max_size=40) | st.text(st.characters(), max_size=40))
def test_api_2_no_input_breaks_the_reader(raw: bytes | str) -> None:
    """Any bytes and any text give an object or a ValueError."""
    refused(raw)


@given(st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=4), st.data())
def test_api_2_repeating_any_member_is_refused(value: dict[str, Any], data: st.DataObject) -> None:
    """No member of any object can be written twice without being noticed."""
    key = data.draw(st.sampled_from(sorted(value)))
    again = orjson.dumps({key: value[key]})[1:-1]
    assert refused(orjson.dumps(value)[:-1] + b"," + again + b"}")
