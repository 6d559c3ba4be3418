"""Both documents are the service: all of it is in them, nothing else, and each is what it calls itself."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from tornado.routing import PathMatches
from tornado.web import RedirectHandler, StaticFileHandler

from server.apidoc.page import page_of
from server.app import App
from server.channels import CHANNELS
from server.errors import ERRORS
from server.handlers.base import SocketHandler
from server.handlers.pages import PageHandler
from server.operations import OPERATIONS
from server.schemas.base import Rules
from tests.conftest import Stack
from tests.declared import asyncapi, openapi, refusals_in, require_shape, validator_of
from tests.helpers import ROOT

BOTH = pytest.mark.parametrize("document", [openapi, asyncapi], ids=["openapi", "asyncapi"])


def rest_operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and operation."""
    for path, methods in openapi()["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def walk(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each object of a document, with where it is."""
    if isinstance(node, dict):
        yield path, node
        for name, child in node.items():
            yield from walk(child, f"{path}/{name}")
    elif isinstance(node, list):
        for number, child in enumerate(node):
            yield from walk(child, f"{path}/{number}")


def test_openapi_is_openapi() -> None:
    """By the schema of OpenAPI 3.1, and what that cannot say: paths and their parameters, references, defaults."""
    assert [fault.message for fault in OpenAPIV31SpecValidator(openapi()).iter_errors()] == []


def test_asyncapi_has_the_form_of_asyncapi() -> None:
    """No library knows 3.0, so: its parts, the names that they may have, and who may refer to whom."""
    document = asyncapi()
    assert document["asyncapi"] == "3.0.0"
    assert {*document} == {
        *("asyncapi", "info", "defaultContentType", "servers", "channels", "operations", "components")
    }
    assert {"title", "version"} <= document["info"].keys()
    for server in document["servers"].values():
        assert {"host", "protocol"} <= server.keys()
    for names in (document["channels"], document["operations"], *document["components"].values()):
        assert not [name for name in names if not re.fullmatch(r"[\w.-]+", name)]
    for operation in document["operations"].values():
        assert operation["action"] in ("send", "receive")
        place = operation["channel"]["$ref"]
        for message in (*operation["messages"], *operation.get("reply", {}).get("messages", [])):
            assert message["$ref"].startswith(f"{place}/messages/")


@BOTH
def test_each_reference_leads_somewhere(document: Any) -> None:
    """And into the document itself."""
    whole = document()
    for path, node in walk(whole):
        if "$ref" in node:
            found = whole
            start, *steps = node["$ref"].split("/")
            assert start == "#", path
            for step in steps:
                assert step in found, f"{path}: {node['$ref']}"
                found = found[step]


def test_every_operation_is_in_both_documents() -> None:
    """Each form that it has, and no operation that there is not."""
    plain = {
        *("captcha.picture", "password.common", "receipts.accept", "keys", "health", "readiness", "metrics"),
        *("documents.rest", "documents.realtime", "pages.login", "inbox", "sandbox.get", "sandbox.set"),
    }
    found = {operation["operationId"]: (path, method) for path, method, operation in rest_operations()}
    rest = {row.name: (row.rest.path, row.rest.method.lower()) for row in OPERATIONS.values() if row.rest}
    assert {name: place for name, place in found.items() if name not in plain} == rest
    assert plain <= found.keys()
    live = {name: one for name, one in asyncapi()["operations"].items() if one["action"] == "receive"}
    channels = {name: one["channel"]["$ref"].rpartition("/")[2] for name, one in live.items()}
    assert channels == {row.name: row.socket for row in OPERATIONS.values() if row.socket}
    for name, one in live.items():
        assert one["reply"]["messages"][0]["$ref"].endswith(f"/reply.{OPERATIONS[name].reply}")


def test_every_push_and_close_code_is_in_the_document() -> None:
    """Of each channel, and no other."""
    found = {name for name, one in asyncapi()["operations"].items() if one["action"] == "send"}
    assert found == {f"{name}.push.{kind}" for name, channel in CHANNELS.items() for kind in channel.pushes}
    for name, channel in CHANNELS.items():
        shown = asyncapi()["channels"][name]
        assert shown["address"] == channel.address
        assert {int(code) for code in shown["x-close-codes"]} == {*channel.close_codes}
        assert shown["x-handshake-refusals"].keys() == {*channel.refusals}


@pytest.mark.parametrize("name", CHANNELS)
def test_every_close_code_that_is_sent_is_documented(name: str) -> None:
    """1009 is Tornado's, 1001 comes when a process ends."""
    source = (ROOT / "server" / "handlers" / f"{name}_socket.py").read_text(encoding="utf-8")
    sent = {int(code) for code in re.findall(r"close\((\d{4})", source)} | {4401, 1009, 1001}
    assert sent == {*CHANNELS[name].close_codes}, "name it in `close_codes` of server/channels.py"


def test_every_close_code_of_a_page_has_a_row() -> None:
    """In docs/realtime.md."""
    page = (ROOT / "docs" / "realtime.md").read_text(encoding="utf-8").partition("## Close codes")[2]
    assert {int(code) for code in re.findall(r"^\| (\d{4}) \|", page, re.MULTILINE)} == {
        *CHANNELS["page"].close_codes
    }


def test_every_error_is_in_a_document() -> None:
    """Each of ERRORS may be answered by something, and whatever is said to be answered is one of ERRORS."""
    over_rest = {
        code: int(status)
        for _, _, operation in rest_operations()
        for status, answer in operation["responses"].items()
        for code in answer.get("content", {}).get("application/json", {}).get("examples", {})
    }
    assert {code: ERRORS.get(code) for code in over_rest} == over_rest
    live = {code for name in asyncapi()["components"]["messages"] for code in refusals_in(name)}
    handshakes = {code for channel in CHANNELS.values() for code in channel.refusals}
    assert over_rest.keys() | live | handshakes == {*ERRORS}
    assert openapi()["components"]["examples"].keys() == {*ERRORS}


def test_every_refusal_that_the_page_of_rest_names_is_declared() -> None:
    """docs/rest.md tells of each operation how it may refuse; what it names stands in the document."""
    rows = re.findall(r"^\| (`\w+\.\w+`.*?) \|.*\|([^|]*)\|$", (ROOT / "docs/rest.md").read_text(), re.MULTILINE)
    declared = {one["operationId"]: one["responses"] for _, _, one in rest_operations()}
    told = {name: re.findall(r"`(\w+)`", codes) for names, codes in rows for name in re.findall(r"`([\w.]+)`", names)}
    assert told.keys() == {row.name for row in OPERATIONS.values() if row.rest}, "a row in docs/rest.md is missing"
    for name, codes in told.items():
        for code in codes:
            known = declared[name].get(str(ERRORS[code]), {}).get("content", {}).get("application/json", {})
            assert code in known.get("examples", {}), (
                f"{name} {code}: name it in `errors` of its row, or not in docs/"
            )


def test_everything_is_told_in_words() -> None:
    """Operations, fields, parameters and answers. Words stand in docstrings and in `metadata=about(…)`."""
    silent = [
        *(f"{path}: a docstring for its function" for path, _, one in rest_operations() if not one["summary"]),
        *(name for name, one in asyncapi()["operations"].items() if not one["summary"]),
        *(
            f"{name}.{field}: metadata=about(…) in server/schemas/"
            for document in (openapi(), asyncapi())
            for name, schema in document["components"]["schemas"].items()
            for form in schema.get("oneOf", [schema])
            for field, shape in form["properties"].items()
            if not shape.get("description")
        ),
        *(
            f"{path}: {parameter['name']}"
            for path, _, one in rest_operations()
            for parameter in one["parameters"]
            if "$ref" not in parameter and not parameter.get("description")
        ),
    ]
    assert silent == []


def test_every_example_of_a_request_is_taken() -> None:
    """By the very schema that judges requests."""
    for name, row in OPERATIONS.items():
        if row.socket:
            message = asyncapi()["components"]["messages"][f"request.{name}"]
            assert row.schema(Rules()).load(message["examples"][0]["payload"]["data"]) is not None


def test_every_example_fits_what_it_is_an_example_of() -> None:
    """Frames, bodies and errors."""
    for name, message in asyncapi()["components"]["messages"].items():
        require_shape(validator_of(message["payload"], asyncapi()), message["examples"][0]["payload"], name)
    for path, _, operation in rest_operations():
        for place in (operation.get("requestBody", {}), *operation["responses"].values()):
            for content in place.get("content", {}).values():
                if "example" in content:
                    require_shape(validator_of(content["schema"], openapi()), content["example"], path)


@BOTH
def test_examples_name_nobody(document: Any) -> None:
    """Numbers that begin with 154 are nobody's."""
    for _, node in walk(document()):
        for value in node.values():
            if isinstance(value, str):
                assert not [
                    number for number in re.findall(r"(?<!\d)1[3-9]\d{9}(?!\d)", value) if number[:3] != "154"
                ]


def test_a_document_says_what_the_operator_has_set() -> None:
    """The lengths of passwords."""
    shape = openapi()["components"]["schemas"]["UserRegister"]["properties"]["password"]
    assert (shape["minLength"], shape["maxLength"]) == (Rules().password_min, Rules().password_max)


def test_a_part_of_a_profile_has_no_defaults() -> None:
    """What is left out of an update stays as it was; what is left out of the whole becomes its default."""
    part, whole = (openapi()["components"]["schemas"][name] for name in ("ProfileUpdate", "ProfileReplace"))
    assert not [name for name, shape in part["properties"].items() if "default" in shape]
    assert [name for name, shape in whole["properties"].items() if "default" in shape]
    assert "required" not in part


def test_a_login_has_two_forms() -> None:
    """All of one, and nothing of the other."""
    accepts = validator_of({"$ref": "#/components/schemas/SessionLogin"}, openapi()).is_valid
    by_password = {"account": "15400138000", "password": "x"}
    by_code = {"mobile": "15400138000", "sms_code": "123456", "transaction": "x"}
    assert accepts(by_password)
    assert accepts(by_code | {"captcha": "x"})
    for wrong in ({}, by_password | by_code, by_password | {"sms_code": "123456"}, {"mobile": "15400138000"}):
        assert not accepts(wrong), wrong


def test_the_page_shows_all_of_the_document() -> None:
    """Each request with its reply and errors, each push, each code."""
    sockets = {socket.name: socket for socket in page_of(asyncapi())}
    assert sockets.keys() == CHANNELS.keys()
    for name, socket in sockets.items():
        assert [one.name for one in socket.asked] == [row.name for row in OPERATIONS.values() if row.socket == name]
        assert [one.message.name for one in socket.told] == [*CHANNELS[name].pushes]
        assert all(one.errors and {*one.errors} < {*ERRORS} for one in socket.asked)
        assert socket.close_codes.keys() == {str(code) for code in CHANNELS[name].close_codes}
        assert socket.handshake_refusals.keys() == {*CHANNELS[name].refusals}


def pages_of(app: App) -> Iterator[tuple[str, type]]:
    """Address and handler of each route; a place in an address is written as in OpenAPI."""
    yield from ((address, handler) for address, (handler, _) in app.whole.items())
    for rule in app.wildcard_router.rules:
        assert isinstance(rule.matcher, PathMatches)
        address = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", rule.matcher.regex.pattern)
        yield re.sub(r"\\(.)", r"\1", address.removesuffix("$").removesuffix("?")), rule.target


@pytest.mark.gen_test
async def test_every_address_is_in_the_document(stack: Stack) -> None:
    """But pages, files and websockets."""
    shown = (PageHandler, RedirectHandler, StaticFileHandler, SocketHandler)
    addresses = {address for address, handler in pages_of(stack.app) if not issubclass(handler, shown)}
    missing = addresses ^ openapi()["paths"].keys()
    assert missing == set(), "an address that is no operation stands in server/apidoc/plain.py"
