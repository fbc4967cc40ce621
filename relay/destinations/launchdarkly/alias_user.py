"""An alias: the anonymous key and the known key are one person."""

from relay.destinations.launchdarkly.bulk import BATCH_SIZE, BATCHING, TIMESTAMP, Event, batch_sender, creation_date, sender
from relay.kit.definition import Action, Delivery, Field


def alias_event(delivery: Delivery) -> Event:
    """The event as LaunchDarkly has it."""
    return {
        "kind": "alias",
        "key": delivery.fields["user_key"],
        "previousKey": delivery.fields["previous_key"],
        "contextKind": "user",
        "previousContextKind": "anonymousUser",
        "creationDate": creation_date(delivery),
    }


ALIAS_USER = Action(
    slug="aliasUser",
    title="Alias User",
    description="Joins an anonymous key to a user's key.",
    fields=(
        Field("user_key", "User key", required=True, default={"@path": "$.userId"}, help="The known key."),
        Field(
            "previous_key", "Previous key", required=True,
            default={"@if": {"exists": {"@path": "$.previousId"}, "then": {"@path": "$.previousId"}, "else": {"@path": "$.anonymousId"}}},
            help="The key that was used before.",
        ),
        TIMESTAMP,
        *BATCHING,
    ),
    default_trigger='type = "identify" or type = "alias"',
    perform=sender(alias_event),
    perform_batch=batch_sender(alias_event),
    batch_size=BATCH_SIZE,
)  # fmt: skip
