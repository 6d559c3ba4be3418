"""The short way through marshmallow for data that is as it should be.

Each field judges its value, as always; what marshmallow does around that (collecting faults, hooks) is left out.
Whatever is not plain goes the whole way, so the answer is the same: tests/schemas/test_plain.py compares the two.
"""

from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import Schema, fields, missing
from marshmallow.decorators import POST_DUMP, PRE_DUMP

_REQUIRED = object()
_COMPUTED = (fields.Constant, fields.Function, fields.Method)
# Of this type a value is shown as it is.
_AS_IT_IS = {fields.String: str, fields.Integer: int, fields.Float: float, fields.Boolean: bool}


class NotPlain(Exception):
    """This has to go the whole way."""


class Plain:
    """The short way of one schema object."""

    def __init__(self, schema: Schema) -> None:
        hooks = type(schema).resolve_hooks()
        self.loads = not any(hooks.values()) and not schema.many and not schema.partial
        self.dumps = not hooks.get(PRE_DUMP) and not hooks.get(POST_DUMP)
        self.dumps &= not any(isinstance(field, _COMPUTED) for field in schema.dump_fields.values())
        self._in = [
            (field.data_key or name, field.attribute or name, field, _judge(field), _default(field))
            for name, field in schema.load_fields.items()
        ]
        self._out = [
            (
                field.data_key or name,
                field.attribute or name,
                _AS_IT_IS.get(type(field)),
                field._serialize,
                field.dump_default,
            )
            for name, field in schema.dump_fields.items()
        ]

    def load(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """What `schema.load` makes of it; NotPlain, or the ValidationError of one of its faults."""
        found: dict[str, Any] = {}
        seen = 0
        for key, name, field, judge, default in self._in:
            value = data.get(key, missing)
            if value is not missing:
                seen += 1
                found[name] = field.deserialize(value, key, data) if value is None else judge(value, key, data)
            elif default is _REQUIRED:
                raise NotPlain
            elif default is not missing:
                found[name] = default() if callable(default) else default
        if seen != len(data):
            raise NotPlain
        return found

    def dump(self, data: dict[str, Any]) -> dict[str, Any]:
        """What `schema.dump` makes of a dict."""
        shown = {}
        for key, name, as_it_is, serialize, default in self._out:
            value = data.get(name, missing)
            if value is missing:
                value = default() if callable(default) else default
            if type(value) is as_it_is:
                shown[key] = value
            elif value is not missing:
                shown[key] = serialize(value, name, data)
        return shown


def _judge(field: Any) -> Callable[..., Any]:
    """What judges a value that is not null: without validators the part that each class of field overrides."""
    found: Callable[..., Any] = field.deserialize if field.validators else field._deserialize
    return found


def _default(field: Any) -> Any:
    return _REQUIRED if field.required else field.load_default
