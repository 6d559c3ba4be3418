"""Rings of secret keys: the first makes what is new, all of them read what is old."""

import base64
import binascii
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

KEY_BYTES = 32


class KeyFault(ValueError):
    """A key that must not be used; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys by id, in order of use."""

    keys: tuple[tuple[str, bytes], ...]

    @property
    def newest(self) -> tuple[str, bytes]:
        """The id and the key to use for what is made now."""
        return self.keys[0]

    def get(self, key_id: str) -> bytes | None:
        """The key of that id, or None if it was taken out of the ring."""
        return dict(self.keys).get(key_id)


def parse_ring(name: str, text: str) -> KeyRing:
    """Reads `id:base64,id:base64`; KeyFault for a key that is short, typed by hand or given twice."""
    keys = tuple(_parse_key(name, part.strip()) for part in text.split(",") if part.strip())
    if not keys:
        raise KeyFault(f"{name} is empty. Make a key with: {_recipe(name)}")
    if len({key_id for key_id, _ in keys}) != len(keys):
        raise KeyFault(f"{name} names the same key id twice.")
    return KeyRing(keys)


def _parse_key(name: str, part: str) -> tuple[str, bytes]:
    key_id, colon, encoded = part.partition(":")
    if not colon or not key_id.isalnum() or not key_id.isascii():
        raise KeyFault(f"{name} must look like id:base64,… with ids of letters and digits.")
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise KeyFault(f"{name}: the key {key_id!r} is not base64. Make one with: {_recipe(name)}") from None
    if len(key) < KEY_BYTES:
        raise KeyFault(f"{name}: the key {key_id!r} has {len(key)} bytes, it needs {KEY_BYTES} or more.")
    # Random bytes are never all printable (1 in 10^13 at 32 bytes): such a key is a word or a documented example.
    if len(set(key)) < KEY_BYTES // 3 or (key.isascii() and key.decode().isprintable()):
        raise KeyFault(f"{name}: the key {key_id!r} was not made at random. Make one with: {_recipe(name)}")
    return key_id, key


def _recipe(name: str) -> str:
    return f'{name}="k1:$(head -c {KEY_BYTES} /dev/urandom | base64)"'


def development_keys(directory: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Keys made once and kept in `directory`, for development only; several processes get the same ones."""
    path = directory / "secrets.json"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not any(directory.iterdir()):
        directory.chmod(0o700)  # made by somebody else, for us: a volume, say
    if not path.exists():
        made = {name: f"dev:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}" for name in names}
        _publish(path, json.dumps(made))
    kept: dict[str, str] = json.loads(path.read_text())
    return kept


def _publish(path: Path, text: str) -> None:
    """Write a private file whole or not at all; if another process was first, its file stays."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
