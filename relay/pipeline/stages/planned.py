"""Where the plan wants an event: a rule's `x-destinations` are the only ones that get it, when its source enforces them.

A rule of the plan, so it stops like a rule (`FILTERED_BY_RULES`) and not like the event's own word or the source's switch for a name.
"""

from relay.base.event import Event
from relay.pipeline.compiled import CompiledDestination
from relay.pipeline.decision import Drop


def check_planned(event: Event, destination: CompiledDestination) -> Drop | None:
    """Whether the rule of the event leaves this destination out; without a rule, or a word in it, every destination gets the event."""
    if not destination.books:
        return None
    book = destination.books.get(event.source_id)
    rule = book.meant_for(event) if book is not None else None
    return rule.elsewhere if rule is not None and destination.destination.slug not in rule.destinations else None
