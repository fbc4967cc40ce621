"""The person or program that orders something, passed everywhere as `by`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """`viewer` reads, `operator` changes deliveries and configuration, `admin` gives out tokens as well."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Whether this role may do what `other` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Operator:
    """Who: `operator_id` is the token's id, or `cli`, `ui`, `signal`."""

    operator_id: str
    name: str
    role: Role
    address: str = ""
    session: bytes = b""
    """The hash of the browser session that the order came through; empty: it came with the token itself."""


CLI_ID: Final = "cli"
UI_ID: Final = "ui"
"""`operator_id` of whoever bears `<data_dir>/cli.token`, and `[ui] token`."""
SIGNAL = Operator("signal", "SIGHUP", Role.ADMIN)
"""Who reloads when the process gets a signal."""
