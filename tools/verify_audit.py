"""Walks the chain of the audit. `--head 1200:<hash>` also proves that an end noted earlier is still in it."""

import argparse
import asyncio
import sys

from server.clock import Clock
from server.container import StartFault, open_stores
from server.embedded import EmbeddedStoreError
from server.errors import StoreUnavailable
from server.logs import set_up_logs
from server.services.audit import verify
from server.settings import Settings, SettingsFault
from server.stores.audit import AuditStore


def head(text: str) -> tuple[int, str]:
    number, _, digest = text.partition(":")
    return int(number), digest


async def run(noted: tuple[int, str] | None) -> int:
    """Exit status 0 if all is well, 1 if not, 2 if it cannot be known."""
    try:
        settings = Settings.from_env()
        async with open_stores(settings, Clock()) as (mongo, _, _):
            number, digest = await verify(AuditStore(mongo), noted)
    except ValueError as fault:
        print(f"audit: BROKEN: {fault}")
        return 2 if isinstance(fault, SettingsFault) else 1
    except (StartFault, EmbeddedStoreError, StoreUnavailable) as fault:
        print(f"audit: cannot be read: {fault}", file=sys.stderr)
        return 2
    print(f"audit: {number} entries, each follows the one before; head {number}:{digest}")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--head", type=head, help="number:hash that was printed or logged earlier")
    set_up_logs("console")
    sys.exit(asyncio.run(run(parser.parse_args().head)))
