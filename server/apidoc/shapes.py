"""Schemas and fields in JSON Schema, as OpenAPI and AsyncAPI both take it."""

import re
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, fields

from server.apidoc.words import description_of
from server.schemas.base import Rules, Shape, StrictSchema

Components = dict[str, Shape]


class Shapes:
    """The schemas that a document speaks of. `rules`: what the operator has set about them."""

    def __init__(self, rules: Rules) -> None:
        plugin = MarshmallowPlugin(schema_name_resolver=self._note)
        # Its other parts are not used: what is around the schemas comes from our own tables.
        self._spec = APISpec(title="", version="", openapi_version="3.1.0", plugins=[plugin])
        converter: Any = plugin.converter  # Most of it has no types.
        self._converter = converter
        converter.add_attribute_function(lambda _, field, ret: _own_words(field, rules, ret))
        converter.add_attribute_function(lambda _, field, ret: _in_ecma(ret))
        self._rules = rules
        self._schemas: dict[str, type[Schema]] = {}
        self._requests: dict[str, StrictSchema] = {}

    def request(self, schema: type[StrictSchema]) -> Shape:
        """A reference to the shape of what is asked."""
        asked = self._requests[schema.__name__] = schema(self._rules)
        return dict(self._converter.resolve_nested_schema(asked))

    def reply(self, schema: Schema) -> Shape:
        """A reference to the shape of what is answered or pushed."""
        return dict(self._converter.resolve_nested_schema(schema))

    def field(self, field: fields.Field[Any]) -> Shape:
        """The shape of one field."""
        return dict(self._converter.field2property(field))

    def parameters(self, schema: type[StrictSchema], place: str, names: set[str]) -> list[Shape]:
        """Some fields of a request as parameters in `place`. Only those in a path are all required."""
        found: list[Shape] = self._converter.schema2parameters(schema(self._rules), location=place)
        return [
            _as_parameter(one | {"required": place == "path" or one["required"]})
            for one in found
            if one["name"] in names
        ]

    def components(self) -> Components:
        """All that was referred to, by name."""
        found: Components = self._spec.to_dict().get("components", {}).get("schemas", {})
        return {name: self._finished(name, shape) for name, shape in sorted(found.items())}

    def _note(self, schema: Any) -> str:
        """The name of a schema, whichever way it is given."""
        found = schema if isinstance(schema, type) else type(schema)
        name = str(found.__name__)
        assert self._schemas.setdefault(name, found) is found, f"two schemas are called {name}; rename one"
        return name

    def _finished(self, name: str, shape: Shape) -> Shape:
        schema = self._schemas[name]
        shape = {"description": description_of(schema.__doc__), **shape}
        asked = self._requests.get(name)
        if asked is None:
            lacking = getattr(schema, "sometimes", ())
            return shape | {"required": [field for field in shape["properties"] if field not in lacking]}
        if asked.partial:  # What is left out of it becomes no default: it stays as it was.
            for part in shape["properties"].values():
                part.pop("default", None)
        return _by_form(shape, asked.forms) if asked.forms else shape


def _as_parameter(found: Shape) -> Shape:
    """With the example where a reader of parameters looks for it."""
    given = found["schema"].get("examples", []) if found["required"] else []
    return found | ({"example": given[0]} if given else {})


def _own_words(field: Any, rules: Rules, ret: Shape) -> Shape:
    """What our own kinds of fields judge. What was said of this one field goes before what is said of its kind."""
    if not hasattr(field, "shape"):
        return {}
    told = {name: ret[name] for name in ("description", "examples") if name in ret}
    return {**field.shape(rules), **told}


def _in_ecma(ret: Shape) -> Shape:
    """Python's way to write a whole match is unknown to JSON Schema; and a default of ours may stand for "none"."""
    if "enum" in ret and ret.get("default", ret["enum"][0]) not in ret["enum"]:
        del ret["default"]
    if ret.get("pattern", "").endswith(r"\Z"):
        return {"pattern": "^" + re.sub(r"\\Z$", "$", ret["pattern"])}
    return {}


def _by_form(shape: Shape, forms: tuple[tuple[str, ...], ...]) -> Shape:
    """One of several forms; what belongs to none of them goes with each."""
    of_some = {name for form in forms for name in form}

    def of(form: tuple[str, ...]) -> Shape:
        kept = {name: one for name, one in shape["properties"].items() if name in form or name not in of_some}
        return {"title": ", ".join(form), "type": "object", "properties": kept, "required": [*form]} | {
            "additionalProperties": False
        }

    return {"description": shape["description"], "oneOf": [of(form) for form in forms]}
