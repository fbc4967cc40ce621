"""The event's own word on where it goes: `integrations`, and `_metadata.bundled` of the browser (tracking API page 7)."""

from collections.abc import Mapping
from typing import Any

from relay.base.event import Event
from relay.pipeline.compiled import CompiledDestination
from relay.pipeline.decision import Drop

SWITCHED_OFF = Drop("integrations", "FILTERED_BY_INTEGRATIONS_OBJECT")
SENT_BY_BROWSER = Drop("integrations", "MESSAGE_SENT_CLIENT_SIDE")
SEGMENT = "Segment.io"
"""The browser adds this key to every event, and lists it as bundled: it means the tracking API, no destination."""


def check_integrations(event: Event, destination: CompiledDestination) -> Drop | None:
    """The most specific key that names the destination decides; without one, `All` does. Only `false` is off."""
    payload = event.payload
    wanted = payload.get("integrations")
    if wanted and not wants(wanted, destination.names):
        return SWITCHED_OFF
    metadata = payload.get("_metadata")
    if metadata and _is_bundled(metadata, destination.names):
        return SENT_BY_BROWSER
    return None


def wants(integrations: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    """Whether an object like an event's `integrations` lets a destination have it."""
    choice = choice_of(integrations, names)
    return (integrations.get("All") if choice is None else choice) is not False


def choice_of(integrations: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """What it says of the destination itself, by the most specific of its names; None: nothing."""
    for name in names:
        choice = integrations.get(name)
        if choice is not None and name != SEGMENT:
            return choice
    return None


def _is_bundled(metadata: Any, names: tuple[str, ...]) -> bool:
    """Also with an explicit `true` in `integrations`: the browser follows the same object, so it has sent the event."""
    bundled = metadata.get("bundled") if isinstance(metadata, Mapping) else None
    return isinstance(bundled, list) and any(name in bundled and name != SEGMENT for name in names)
