"""An example of a shape, put together from the examples of its parts."""

from typing import Any

from server.schemas.base import Shape

_PLAIN: dict[str, Any] = {"string": "…", "integer": 1, "number": 1, "boolean": True, "object": {}}


def sample_of(shape: Shape, components: Shape) -> Any:
    """What stands in `examples`, of an object each field that it must have or that has an example of its own."""
    shape = resolved(shape, components)
    if "examples" in shape:
        return shape["examples"][0]
    for way in ("allOf", "oneOf", "anyOf"):
        if way in shape:
            return sample_of(shape[way][0], components)
    if shape.get("type") == "array":
        return [sample_of(shape["items"], components)]
    if "properties" in shape:
        wanted = {name for name, part in shape["properties"].items() if "examples" in part}
        wanted |= {*shape.get("required", [])}
        return {name: sample_of(part, components) for name, part in shape["properties"].items() if name in wanted}
    return shape.get("default", shape.get("enum", [_PLAIN.get(str(shape.get("type")))])[0])


def resolved(shape: Shape, components: Shape) -> Shape:
    """The shape that a reference leads to."""
    if "$ref" not in shape:
        return shape
    found: Shape = components[shape["$ref"].rpartition("/")[2]]
    return found
