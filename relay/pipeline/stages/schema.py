"""What a source's schema says of an event name for one destination; an entry for it in `integrations` beats this (semantics page 1)."""

from relay.base.event import Event
from relay.pipeline.compiled import CompiledDestination
from relay.pipeline.decision import Drop
from relay.pipeline.stages.integrations import choice_of, wants

NOT_HERE = Drop("schema", "FILTERED_BY_INTEGRATIONS_OBJECT", text="the source's schema keeps events of this name from the destination")


def check_schema(event: Event, destination: CompiledDestination) -> Drop | None:
    """Whether the source keeps events of this name from this destination. Its entry is read like an event's `integrations`."""
    schema = destination.schemas.get(event.source_id)
    if schema is None or event.type != "track":
        return None
    setting = schema.events.get(event.name)
    if setting is None or wants(setting.integrations, destination.names):
        return None
    own = event.payload.get("integrations")
    return NOT_HERE if not own or choice_of(own, destination.names) is None else None
