"""Whether a destination is on, and takes calls of this type at all."""

from relay.base.event import Event
from relay.pipeline.compiled import CompiledDestination
from relay.pipeline.decision import Drop

DISABLED = Drop("destination", "destination_disabled")
UNSUPPORTED = Drop("supported", "UNSUPPORTED_EVENT_TYPE")


def check_enabled(event: Event, destination: CompiledDestination) -> Drop | None:
    """A destination that is switched off lets everything pass by; that is no hold."""
    return None if destination.destination.enabled else DISABLED


def check_supported(event: Event, destination: CompiledDestination) -> Drop | None:
    """Asked before everything else that the event could say (semantics page 1)."""
    return None if event.type in destination.definition.methods else UNSUPPORTED
