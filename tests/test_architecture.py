"""Who may import whom. A cycle or a shortcut shows here as a wrong arrow."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import ROOT

SERVER = ROOT / "server"
LEAVES = {
    "audit_events",
    "caller",
    "clock",
    "deadlines",
    "destinations",
    "errors",
    "feed",
    "fixed_codes",
    "keys",
    "limit_rules",
    "logs",
    "metrics",
    "password_rule",
    "pool",
    "rates",
    "roles",
    "signing",
    "slices",
    "strict_json",
    "tags",
}
# Part of the server -> the parts that it may import. A part is a file or a folder of server/.
MAY_IMPORT: dict[str, set[str]] = {
    **{leaf: set() for leaf in LEAVES},
    "rates": {"errors"},
    "pool": {"errors"},
    "i18n": {"errors"},
    "tasks": {"clock", "logs"},
    "settings": {"destinations", "fixed_codes", "keys", "limit_rules", "password_rule", "signing"},
    "edge": {"destinations", "settings"},
    "schemas": {"errors", "password_rule"},
    "http": set(),
    "websocket": set(),
    "captcha": {"errors", "http", "logs"},
    "sms": {"clock", "http", "signing"},
    "embedded": set(),
    "stores": {"clock", "errors", "limit_rules", "logs", "rates", "tags"},
    "events": LEAVES | {"tasks", "stores"},
    "jobs": LEAVES | {"tasks", "stores"},
    "hooks": LEAVES | {"http", "jobs", "stores"},
    "services": LEAVES | {"tasks", "events", "stores"},
    "operation": {"caller", "errors", "roles", "schemas", "services"},
    "admin_operations": {"caller", "errors", "logs", "operation", "schemas", "services"},
    "operations": {"admin_operations", "caller", "deadlines", "errors", "logs", "operation", "schemas", "services"},
    "channels": {"schemas"},
    "apidoc": {"channels", "errors", "i18n", "operation", "operations", "schemas"},
    "handlers": {"caller", "edge", "errors", "i18n", "logs", "operation", "operations", "rates", "strict_json"}
    | {"apidoc", "channels", "slices"},
    "app": {"apidoc", "edge", "handlers", "logs", "operations", "password_rule", "settings"},
    "workers": {"clock", "logs", "tasks"},
    "main": {
        "app",
        "clock",
        "container",
        "edge",
        "embedded",
        "errors",
        "handlers",
        "i18n",
        "logs",
        "operations",
        "schemas",
    }
    | {"settings", "tasks", "workers"},
}
# Arrows that single modules have beside those of their part.
BESIDES: dict[str, set[str]] = {
    "services.courier": {"i18n", "jobs", "sms.provider", "sms.router"},
    "services.notices": {"sms.router"},
    "services.receipts": {"sms.provider", "sms.router"},
    "services.inbox": {"i18n", "sms.faults", "sms.provider"},
    "services.sandbox": {"sms.faults", "sms.provider"},
    "schemas.sandbox": {"sms.faults"},
    "sms.sandbox": {"clock", "tasks"},
    "handlers.frames": {"schemas.envelope"},
    "handlers.admin_socket": {"schemas.envelope"},
    "handlers.inbox": {"schemas.envelope", "schemas.sandbox", "services", "services.inbox", "services.sandbox"}
    | {"sms.faults"},
    "handlers.page_socket": {"schemas.envelope"},
    "handlers.push_frames": {"schemas.envelope"},
    "handlers.api": {"services.sessions"},
    "handlers.base": {"websocket"},
}
# Narrower than "the whole part".
ONLY: dict[str, dict[str, set[str]]] = {
    "events": {"stores": {"stores.redis"}},
    "jobs": {"stores": {"stores.jobs"}},
    "hooks": {"stores": {"stores.jobs"}},
    "operation": {"services": {"services"}},
    "admin_operations": {"services": {"services"}},
    "operations": {"services": {"services"}},
    "main": {"handlers": {"handlers.page_socket"}, "schemas": {"schemas.base"}},
}
LIBRARIES: dict[str, set[str]] = {
    "tornado": {"app", "edge", "handlers", "http", "i18n", "main", "websocket"},
    "websockets": {"websocket"},
    "motor": {"stores"},
    "pymongo": {"embedded", "stores"},
    "redis": {"events", "stores"},
    "hiredis": {"stores"},
    "marshmallow": {
        "apidoc",
        "handlers",
        "limit_rules",
        "operation",
        "operations",
        "channels",
        "schemas",
        "settings",
    },
    "apispec": {"apidoc"},
    "environs": {"settings"},
    "jwt": {"services"},
    "bcrypt": {"services"},
    "zxcvbn": {"password_rule"},
    "altcha": {"captcha"},
    "captcha": {"captcha"},
    "structlog": {"logs"},
    "prometheus_client": {"metrics", "workers"},
}
MODULES = {
    ".".join(path.relative_to(SERVER).with_suffix("").parts).removesuffix(".__init__"): path
    for path in SERVER.rglob("*.py")
}


def imports_of(path: Path) -> Iterator[str]:
    """The full names of all modules that a file imports, at its top or anywhere else."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            named = {f"{node.module}.{name.name}" for name in node.names}
            modules = {name for name in named if name.removeprefix("server.") in MODULES}
            yield from modules or {str(node.module)}


def part_of(module: str) -> str:
    return module.partition(".")[0]


def allowed(module: str, imported: str) -> bool:
    part, other = part_of(module), part_of(imported)
    if other == part or imported in BESIDES.get(module, set()):
        return True
    narrow = ONLY.get(part, {}).get(other)
    return imported in narrow if narrow else other in MAY_IMPORT[part]


# What builds everything knows everything.
BUILDERS = {module for module in MODULES if part_of(module) in ("__init__", "container", "parts")}


@pytest.mark.parametrize("module", sorted(MODULES.keys() - BUILDERS))
def test_a_module_imports_only_what_its_part_may(module: str) -> None:
    """But for those that build: they know everything, all others their neighbours."""
    ours = {name.removeprefix("server.") for name in imports_of(MODULES[module]) if name.startswith("server.")}
    assert sorted(name for name in ours if not allowed(module, name)) == []


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_spoken_to_in_one_place(library: str) -> None:
    """So that it can be replaced there."""
    users = {part_of(module) for module, path in MODULES.items() if library in map(part_of, imports_of(path))}
    assert users <= LIBRARIES[library]
    assert users


def test_the_arrows_that_the_table_allows_are_needed() -> None:
    """An exception that nobody uses any more goes."""
    for module, besides in BESIDES.items():
        ours = {name.removeprefix("server.") for name in imports_of(MODULES[module])}
        assert besides <= ours, module


def test_nothing_is_imported_inside_a_function_from_our_own_code() -> None:
    """A cycle means a wrong arrow, not an import at another place."""
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = [child for child in ast.walk(node) if isinstance(child, ast.ImportFrom)]
                assert not [child for child in inner if str(child.module).startswith("server")], module
