"""What the stages return."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from relay.base.codes import Door
from relay.base.event import Event
from relay.kit.definition import Action
from relay.kit.violations import Violation


class Refusal(NamedTuple):
    """A message that intake refuses; the rest of its batch goes on."""

    position: int
    """Its place in the batch."""
    code: str
    message_id: str


class Drop(NamedTuple):
    """A rule decided that the event goes no further; it leaves by `door`."""

    stage: str
    code: str
    door: Door = Door.FILTERED
    text: str = ""
    """Which rule it was, where the code does not tell; for people."""


Rewrite = Callable[[Event], Event | Drop]
"""A step that hands on the event, a changed copy of it, or why it goes no further. It never raises: what it cannot do is a Drop."""


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """A Rewrite made of a user's rules. Whatever goes wrong in it, the event goes no further: rules fail closed.

    `tell` names the rules that act on an event; only who explains it asks.
    """

    stage: str
    rewrite: Rewrite
    name: Callable[[Event], str]

    def __call__(self, event: Event) -> Event | Drop:
        try:
            return self.rewrite(event)
        except Exception:  # fence: an event that a rule cannot judge must not pass
            return Drop(self.stage, "INTERNAL")

    def tell(self, event: Event) -> str:
        """What a person should know: which rule drops the event, or which ones change it; empty: none."""
        try:
            return self.name(event)
        except Exception as error:  # fence: the same as above, told
            return f"a rule failed: {type(error).__name__}: {error}"


@dataclass(slots=True, eq=False)
class Sourced:
    """An event after the source side."""

    seq: int
    event: Event
    drop: Drop | None = None
    derived: tuple[Event, ...] = ()
    bytes: int = 0
    """Length of the stored body, what the tail is bounded by."""
    violations: tuple[Violation, ...] = ()
    """How the event breaks its plan."""
    is_unplanned: bool = False
    """A track call that its source's plan has no rule for."""


@dataclass(slots=True, eq=False)
class Unit:
    """What is sent and retried: one event for one subscription. `problem`: it cannot be sent (mapping or fields refuse it)."""

    seq: int
    event: Event
    subscription_id: str
    action: Action | None
    fields: Mapping[str, Any]
    batch_key: str = ""
    """Units with equal (subscription_id, batch_key) may go into one request; empty: on its own."""
    batch_size: int = 1
    problem: str = ""
    problem_code: str = "PAYLOAD_VALIDATION_FAILED"
