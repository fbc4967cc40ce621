"""What the fields of several actions share."""

from typing import Any

from relay.kit.definition import Field


def path(text: str) -> dict[str, Any]:
    return {"@path": f"$.{text}"}


def first_of(one: str, other: str) -> dict[str, Any]:
    """The value at `one` where it exists, else the one at `other`."""
    return {"@if": {"exists": path(one), "then": path(one), "else": path(other)}}


POSTAL_CODE = first_of("traits.address.postalCode", "traits.address.postal_code")
STAGE = Field("lifecyclestage", "Lifecycle stage", help="Sent in lower case; may move backwards as well.")
