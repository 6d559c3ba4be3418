"""Files and directories that only their owner can read; the one error of this package."""

import errno
import os
import stat
from pathlib import Path

LOG_LIMIT = 10 * 1024 * 1024


class EmbeddedStoreError(Exception):
    """An embedded store cannot be used; the text is one sentence that says what to do next."""


def private_dir(path: Path) -> None:
    """Make `path` a directory of mode 0700."""
    path.mkdir(mode=0o700, exist_ok=True)
    path.chmod(0o700)


def claim(var_dir: Path) -> None:
    """Make `var_dir` ours alone, unless that would shut others out of a shared directory."""
    var_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    info = var_dir.stat()
    if info.st_uid == os.getuid() and not stat.S_IMODE(info.st_mode) & 0o077:
        return
    # Something like VAR_DIR=/tmp: closing it would break the machine for everybody else.
    if info.st_uid != os.getuid() or (any(var_dir.iterdir()) and not (var_dir / "start.lock").exists()):
        raise EmbeddedStoreError(f"{var_dir} is shared with others: set VAR_DIR to a directory of Haoma's own.")
    var_dir.chmod(0o700)


def open_private(path: Path, flags: int) -> int:
    """Open a file of mode 0600, made when it is missing; the caller closes it."""
    return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)


def write_private(path: Path, text: str) -> None:
    """Put `text` into a file of mode 0600 at once: never half of it, also after a power cut."""
    draft = path.with_name(path.name + ".new")
    fd = open_private(draft, os.O_WRONLY | os.O_TRUNC)
    with os.fdopen(fd, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(fd)
    draft.replace(path)


def open_log(path: Path) -> int:
    """Open a log to add to; one that has grown past LOG_LIMIT begins again."""
    fd = open_private(path, os.O_WRONLY | os.O_APPEND)
    if os.fstat(fd).st_size > LOG_LIMIT:
        os.truncate(fd, 0)
    return fd


def explain(error: OSError, var_dir: Path) -> EmbeddedStoreError:
    """What to do about a file that could not be made or written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EmbeddedStoreError(f"The disk of {var_dir} is full: free some space and start again.")
    reason = error.strerror or str(error)
    return EmbeddedStoreError(
        f"{error.filename or var_dir} cannot be used ({reason}): set VAR_DIR to a directory you can write."
    )
