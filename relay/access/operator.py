"""The person or program that orders something, passed everywhere as `by`."""

from dataclasses import dataclass
from enum import StrEnum


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


SIGNAL = Operator("signal", "SIGHUP", Role.ADMIN)
"""Who reloads when the process gets a signal."""
