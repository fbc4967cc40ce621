"""What relay makes of an event before any destination sees it: once per event, pure."""

from relay.base.codes import Door
from relay.base.event import DELETED, Event
from relay.pipeline.compiled import CompiledSource
from relay.pipeline.decision import Drop, Sourced

FORGOTTEN = Drop("source", "forgotten", Door.DISCARDED)


def source_side(seq: int, event: Event, source: CompiledSource | None) -> Sourced:
    """The event after the source's rules; `source` is None when it was removed meanwhile, which stops nothing on its way."""
    return Sourced(seq, event, FORGOTTEN if event.type == DELETED else None, bytes=len(event.body))
