"""Which subscriptions of a destination want the event."""

from relay.base.event import Event
from relay.pipeline.compiled import CompiledDestination, CompiledSubscription
from relay.pipeline.decision import Drop

NO_MATCH = Drop("trigger", "NO_MATCHING_MAPPING")


def match_subscriptions(event: Event, destination: CompiledDestination) -> list[CompiledSubscription]:
    """The subscriptions whose trigger matches; none means NO_MATCH."""
    return [subscription for subscription in destination.subscriptions if subscription.trigger(event)]
