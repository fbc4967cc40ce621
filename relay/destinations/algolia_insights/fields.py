"""Fields that the actions share."""

from typing import Any, Final

from relay.kit.definition import Field

EVENT_TYPES: Final = ("view", "conversion", "click")
ANONYMOUS_FIRST: Final = {"@if": {"exists": {"@path": "$.anonymousId"}, "then": {"@path": "$.anonymousId"}, "else": {"@path": "$.userId"}}}
USER_FIRST: Final = {"@if": {"exists": {"@path": "$.userId"}, "then": {"@path": "$.userId"}, "else": {"@path": "$.anonymousId"}}}

OBJECT_ID: Final = Field("objectID", "Product id", required=True, default={"@path": "$.properties.product_id"}, help="The object in the index.")
INDEX: Final = Field("index", "Index", required=True, default={"@path": "$.properties.search_index"}, help="The index that the objects are in.")
QUERY_ID: Final = Field(
    "queryID", "Query id",
    default={
        "@if": {
            "exists": {"@path": "$.properties.query_id"},
            "then": {"@path": "$.properties.query_id"},
            "else": {"@path": "$.integrations.Algolia Insights (Actions).query_id"},
        }
    },
    help="The search that led here; left out: none did.",
)  # fmt: skip
VALUE: Final = Field("value", "Value", type="number", default={"@path": "$.properties.value"}, help="Of the whole cart.")
CURRENCY: Final = Field("currency", "Currency", default={"@path": "$.properties.currency"}, help="ISO 4217; needed beside a value or a price.")


def who_and_when(user_token: Any = ANONYMOUS_FIRST) -> tuple[Field, ...]:
    """User tokens and time; `user_token`: the default of the first."""
    return (
        Field("userToken", "User token", required=True, default=user_token, help="Who it was, known or not."),
        Field("authenticatedUserToken", "Known user's token", default={"@path": "$.userId"}, help="Who it was, when known."),
        Field("timestamp", "Timestamp", default={"@path": "$.timestamp"}, help="When it happened."),
    )


def rest(name: str, event_type: str) -> tuple[Field, ...]:
    """What stands at the end of every action; `name` and `event_type` are sent by default."""
    return (
        Field("extraProperties", "Further properties", type="object", default={"@path": "$.properties"}, help="Sent beside what Algolia knows."),
        Field("eventName", "Event name", default=name, help="What Algolia calls the event."),
        Field("eventType", "Event type", choices=EVENT_TYPES, default=event_type),
        Field("enable_batching", "Batch events", type="boolean", help="Sends several events in one request."),
        Field("batch_size", "Batch size", type="integer", help="Most events in one request."),
    )
