"""The short way through marshmallow leads where the whole way does."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError, fields, post_dump, post_load, validates_schema

from server.channels import CHANNELS
from server.operations import OPERATIONS
from server.schemas.base import StrictSchema
from server.schemas.envelope import Envelope

REQUESTS: dict[str, StrictSchema] = {name: row.schema() for name, row in OPERATIONS.items()} | {"frame": Envelope()}
REPLIES: dict[str, Schema] = {name: row.reply_schema for name, row in OPERATIONS.items()} | {
    kind: push.schema for channel in CHANNELS.values() for kind, push in channel.pushes.items()
}
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**12),
    st.sampled_from(["15400138000", "+86 154-0013-8000", "493027", "register", "zh_CN", "1h", "x" * 70, ""]),
    st.text(max_size=12),
    st.just({}),
    st.just([]),
)


def outcome(work: Any, data: dict[str, Any]) -> Any:
    try:
        return work(data)
    except ValidationError as fault:
        return fault.normalized_messages()


@pytest.mark.parametrize("name", REQUESTS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_request_is_read_as_by_the_whole_way(name: str, data: st.DataObject) -> None:
    """Some of its fields, any values, now and then a field too many: the same data, or the same faults."""
    schema = REQUESTS[name]
    keys = st.sampled_from([*schema.load_fields, "strange"])
    asked = data.draw(st.dictionaries(keys, VALUES, max_size=len(schema.load_fields) + 1))
    assert outcome(schema.load, dict(asked)) == outcome(lambda one: Schema.load(schema, one), dict(asked))


@pytest.mark.parametrize("name", REPLIES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_reply_is_shown_as_by_the_whole_way(name: str, data: st.DataObject) -> None:
    """Some of its fields, and one that is not to be shown."""
    schema = REPLIES[name]
    plain = {
        key: _values_of(field)
        for key, field in schema.dump_fields.items()
        if not isinstance(field, fields.Nested | fields.List | fields.Dict)
    }
    shown = data.draw(st.fixed_dictionaries({"secret": st.just(1)}, optional=plain))
    assert schema.dump(shown) == Schema.dump(schema, shown)


def _values_of(field: Any) -> st.SearchStrategy[Any]:
    if isinstance(field, fields.Number):
        return st.one_of(st.none(), st.integers(0, 10**10))
    if isinstance(field, fields.Boolean):
        return st.one_of(st.none(), st.booleans())
    return st.one_of(st.none(), st.text(max_size=5))


def test_what_hooks_do_is_done() -> None:
    """A schema with hooks goes the whole way."""

    class Hooked(StrictSchema):
        number = fields.Integer()

        @validates_schema
        def judge(self, data: dict[str, Any], **_: Any) -> None:
            if data["number"] > 9:
                raise ValidationError("large")

        @post_load
        def double(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
            return {"number": 2 * data["number"]}

        @post_dump
        def halve(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
            return {"number": data["number"] / 2}

    schema = Hooked()
    assert schema.load({"number": 4}) == {"number": 8}
    assert schema.dump({"number": 8}) == {"number": 4}
    with pytest.raises(ValidationError):
        schema.load({"number": 10})


def test_computed_fields_are_computed() -> None:
    """A schema with such goes the whole way."""

    class Computed(StrictSchema):
        double = fields.Function(lambda data: 2 * data["number"])
        always = fields.Constant(7)

    assert Computed().dump({"number": 4}) == {"double": 8, "always": 7}
