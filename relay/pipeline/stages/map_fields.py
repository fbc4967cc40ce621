"""From an event and a subscription that wants it to the unit that is sent: fields, and what may share a request with it."""

from relay.base.event import Event
from relay.errors import PayloadError
from relay.pipeline.compiled import CompiledSubscription, batch_of
from relay.pipeline.decision import Unit


def map_fields(seq: int, event: Event, subscription: CompiledSubscription) -> Unit:
    """The unit; one that the mapping or the fields refuse carries its problem and leaves as a dead letter."""
    action = subscription.action
    try:
        fields = subscription.mapper(event.payload)
        batch_key, batch_size = subscription.batch or batch_of(action, fields)
    except PayloadError as error:
        return Unit(seq, event, subscription.subscription.subscription_id, action, {}, problem=error.message)
    except Exception as error:  # fence: a bug in a mapper costs its own unit only
        problem = f"{type(error).__name__}: {error}"
        return Unit(seq, event, subscription.subscription.subscription_id, action, {}, problem=problem, problem_code="bug")
    return Unit(seq, event, subscription.subscription.subscription_id, action, fields, batch_key, batch_size)
