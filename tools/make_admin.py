"""Makes an account an operator, or takes that away: `make admin MOBILE=154… [ROLE=viewer|operator|none]`.

The account has to be there: sign up on the page first.
"""

import argparse
import asyncio
import sys
from typing import Any

from server.clock import Clock
from server.container import StartFault, open_admins, open_stores
from server.embedded import EmbeddedStoreError
from server.errors import StoreUnavailable
from server.logs import mask, set_up_logs
from server.roles import ROLES
from server.schemas.base import canonical_mobile
from server.settings import Settings, SettingsFault


async def run(mobile: str, role: Any) -> int:
    """Exit status 0 if it was done, 1 if there is no such account, 2 if that cannot be known."""
    clock = Clock()
    try:
        settings = Settings.from_env()
        async with (
            open_stores(settings, clock) as (mongo, redis, _),
            open_admins(mongo=mongo, redis=redis, clock=clock) as admins,
        ):
            done = await admins.grant(mobile, None if role == "none" else role)
    except (SettingsFault, StartFault, EmbeddedStoreError, StoreUnavailable) as fault:
        print(f"admin: cannot be done: {fault}", file=sys.stderr)
        return 2
    if not done:
        print(f"admin: {mask(mobile)} has no account here; sign up first, then run this again.", file=sys.stderr)
        return 1
    print(f"admin: {mask(mobile)} is {'no operator any more' if role == 'none' else role}; the page is /admin")
    return 0


def read_mobile(text: str) -> str:
    mobile = canonical_mobile(text)
    if mobile is None:
        raise argparse.ArgumentTypeError("not a mainland mobile number")
    return mobile


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mobile", type=read_mobile)
    parser.add_argument("--role", choices=(*ROLES, "none"), default="operator")
    given = parser.parse_args()
    set_up_logs("console")
    sys.exit(asyncio.run(run(given.mobile, given.role)))
