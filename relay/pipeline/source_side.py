"""What relay makes of an event before any destination sees it: once per event, pure."""

from relay.base.codes import Door
from relay.base.event import DELETED, Event
from relay.pipeline.compiled import CompiledSource
from relay.pipeline.decision import Drop, Sourced

FORGOTTEN = Drop("source", "forgotten", Door.DISCARDED)


def source_side(seq: int, event: Event, source: CompiledSource | None) -> Sourced:
    """The event after the source's rules: its transformations, then schema and plan.

    `source` is None when it was removed meanwhile, which stops nothing on its way.
    """
    size = len(event.body)
    if event.type == DELETED:
        return Sourced(seq, event, FORGOTTEN, bytes=size)
    if source is None:
        return Sourced(seq, event, bytes=size)
    if source.transform is not None:
        result = source.transform(event)
        if isinstance(result, Drop):
            return Sourced(seq, event, result._replace(door=Door.BLOCKED), bytes=size)
        event = result
    if source.inspect is None:
        return Sourced(seq, event, bytes=size)
    inspected = source.inspect(event)
    return Sourced(seq, inspected.event, inspected.drop, inspected.derived, size, inspected.violations, inspected.is_unplanned)
