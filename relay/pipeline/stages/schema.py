"""What a source's schema says of an event name for one destination; an entry for it in `integrations` beats this (semantics page 1)."""

from relay.base.event import Event
from relay.pipeline.compiled import CompiledDestination
from relay.pipeline.decision import Drop

NOT_HERE = Drop("schema", "FILTERED_BY_INTEGRATIONS_OBJECT")


def check_schema(event: Event, destination: CompiledDestination) -> Drop | None:
    """Whether the source keeps events of this name from this destination."""
    return None
