"""Starts Haoma: settings, logs, stores, services, one port; ends all of it at Ctrl-C or SIGTERM."""

import asyncio
import sys

from server.container import StartFault
from server.embedded import EmbeddedStoreError
from server.main import serve
from server.settings import Settings, SettingsFault


def main() -> int:
    """The exit status: 0 after a clean stop, 1 if something stood against starting or running."""
    try:
        settings = Settings.from_env()
        run = asyncio.run
        if sys.platform != "win32":
            from uvloop import run
        return run(serve(settings))
    except (SettingsFault, StartFault, EmbeddedStoreError) as fault:
        print(f"Haoma cannot start: {fault}", file=sys.stderr)
    except KeyboardInterrupt:
        pass
    return 1


if __name__ == "__main__":
    sys.exit(main())
