"""Starts Haoma: settings, logs, stores, services, one port; ends all of it at Ctrl-C or SIGTERM."""

import sys

if sys.platform == "win32":
    sys.exit("Haoma runs on Linux and macOS; on Windows use WSL.")

try:
    from server.main import run
except ModuleNotFoundError as missing:
    sys.exit(f"Haoma cannot start: the library {missing.name!r} is missing; `make run` installs what is needed.")

if __name__ == "__main__":
    sys.exit(run())
