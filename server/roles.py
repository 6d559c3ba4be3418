"""Who may look, and who may act: the roles that an account can have beside being its holder's."""

from typing import Literal

Role = Literal["viewer", "operator"]
ROLES: tuple[Role, ...] = ("viewer", "operator")


def includes(held: str, needed: Role) -> bool:
    """Whether somebody of the role `held` ("" for none) may do what `needed` may."""
    return held in ROLES and ROLES.index(held) >= ROLES.index(needed)
