"""The filter that a person gives with an order, in FQL, over the stored event."""

from typing import Final

from relay.errors import ConfigError, RequestError
from relay.kit.fql import Test, compile_filter

FIELDS: Final = (
    "type", "event", "name", "userId", "anonymousId", "groupId", "previousId", "messageId", "category", "timestamp", "originalTimestamp", "sentAt",
    "receivedAt", "context", "properties", "traits", "integrations", "channel", "version",
)  # fmt: skip
"""An order is refused when it names another: misspelt, it might take every event."""


def compile_condition(text: str) -> Test | None:
    """The test of a filter; None for an empty text, which takes every event. Raises RequestError 400 with the position and the remedy."""
    if not text:
        return None
    try:
        return compile_filter(text, FIELDS)
    except ConfigError as error:
        (problem,) = error.problems
        raise RequestError(400, "bad_filter", f"{problem.message}; {problem.remedy}" if problem.remedy else problem.message) from None
