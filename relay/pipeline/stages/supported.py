"""Whether a destination is on, takes calls of this type at all, and is not what the event is about."""

from relay.base.event import Event
from relay.pipeline.compiled import CompiledDestination
from relay.pipeline.decision import Drop
from relay.pipeline.derived import is_about

DISABLED = Drop("destination", "destination_disabled")
ABOUT_ITSELF = Drop("destination", "about_itself")
UNSUPPORTED = Drop("supported", "UNSUPPORTED_EVENT_TYPE")


def check_enabled(event: Event, destination: CompiledDestination) -> Drop | None:
    """A destination that is switched off lets everything pass by; that is no hold. An alert about it is for others to carry."""
    model = destination.destination
    if not model.enabled:
        return DISABLED
    return ABOUT_ITSELF if is_about(event, model.slug) else None


def check_supported(event: Event, destination: CompiledDestination) -> Drop | None:
    """Asked before everything else that the event could say (semantics page 1)."""
    return None if event.type in destination.definition.methods else UNSUPPORTED
