"""The source's schema settings and its tracking plan: what is blocked, what is left out, which violations are told (semantics page 2)."""

from collections.abc import Callable
from typing import NamedTuple

from relay.base.event import Event
from relay.pipeline.decision import Drop
from relay.workspace.model import Source
from relay.workspace.rules import Plan


class Inspected(NamedTuple):
    """What the schema and the plan make of an event."""

    event: Event
    drop: Drop | None = None
    derived: tuple[Event, ...] = ()
    """Violations and the blocked event, for the sources that hear of them."""


Inspect = Callable[[Event], Inspected]


def compile_inspection(source: Source, plan: Plan | None) -> Inspect | None:
    """The inspection of one source; None when everything may pass unseen. Raises ConfigError."""
    return None
