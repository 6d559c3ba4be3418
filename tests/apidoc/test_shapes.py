"""What a document says of a field is what judges it, no more and no less."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError, fields

from server.apidoc.shapes import Shapes
from server.operations import OPERATIONS
from server.schemas.base import CaptchaAnswer, KnownPassword, Password, Rules
from server.schemas.envelope import FrameId
from server.schemas.profile import Words
from tests.declared import validator_of

# These also judge what no schema can say: which characters, and what is guessed at once.
_BEYOND = (CaptchaAnswer, KnownPassword, Password, Words)
# JSON Schema takes 1.0 for a whole number. We do not: it was not written as one.
_FLOATS = st.floats(allow_nan=False, allow_infinity=False).filter(lambda one: not one.is_integer())
_TEXTS = st.one_of(st.text(max_size=80), st.text("0123456789+- ", max_size=16))
ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(), _FLOATS, _TEXTS, st.just([]), st.just({}))


def judged() -> Iterator[tuple[str, fields.Field[Any]]]:
    """The fields that can be asked with, one of each kind."""
    found = {
        f"{row.name}.{name}": field for row in OPERATIONS.values() for name, field in row.schema().fields.items()
    }
    kinds = {}
    for name, field in (found | {"id": FrameId()}).items():
        if not isinstance(field, _BEYOND):
            kinds.setdefault(str(shape_of(field) | {"description": "", "examples": []}), (name, field))
    yield from kinds.values()


def shape_of(field: fields.Field[Any]) -> dict[str, Any]:
    """What a document says of it."""
    return Shapes(Rules()).field(field)


def taken(field: fields.Field[Any], value: Any) -> bool:
    """Whether it comes through."""
    try:
        field.deserialize(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(("name", "field"), judged(), ids=lambda one: one if isinstance(one, str) else "")
def test_the_shape_of_a_field_is_what_judges_it(name: str, field: fields.Field[Any]) -> None:
    """For what just fits, and for anything at all."""
    shape = shape_of(field)
    says = validator_of(shape, {"components": {"schemas": {}}}).is_valid
    edges = [shape[bound] + step for bound in ("minimum", "maximum") if bound in shape for step in (-1, 0, 1)]
    edges += ["x" * (shape["maxLength"] + step) for step in (-1, 0, 1) if "maxLength" in shape]
    near = [st.sampled_from(edges)] if edges else []
    near += [st.from_regex(shape["pattern"], fullmatch=True)] if "pattern" in shape else []
    near += [st.sampled_from(shape["enum"])] if "enum" in shape else []

    @settings(max_examples=150, derandomize=True, deadline=None, database=None)
    @given(st.one_of(*near, ANYTHING))
    def agree(value: Any) -> None:
        assert says(value) == taken(field, value), f"{name}: {value!r} and {shape}"

    agree()
