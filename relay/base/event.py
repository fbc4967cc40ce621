"""The event: what came in, as every room sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from relay.base import jsonio

TYPES = ("identify", "track", "page", "screen", "group", "alias")
"""Segment's six calls."""

FORWARDED_FROM = "forwardedFromProject"
"""Key of the source that a derived event comes from, as Segment names it; only relay writes it."""

DELETED = "deleted"
"""The type of a tombstone: the event was erased by a deletion request; its payload is empty."""


@dataclass(slots=True, eq=False)
class Event:
    """One normalised event. Treated as immutable (not frozen only because that doubles the cost of making one).

    `body` is the whole message as Segment shapes it (camelCase keys), as stored. `payload` is the same as objects. Each is made from the other
    when somebody first asks: between intake and delivery only the bytes are kept, for thousands of small objects per batch would keep the
    collector busy; and of a copy that a rule has changed, many destinations never ask for the bytes.
    """

    message_id: str
    source_id: str
    type: str
    name: str
    """Event name of a track, page or screen name; empty for the rest."""
    user_id: str
    """Empty when absent."""
    anonymous_id: str
    received_ms: int
    """Unix time in ms at which relay received it."""
    parsed: Mapping[str, Any] | None
    """`payload`, or None as long as nobody asked."""
    packed: bytes | None
    """`body`, or None as long as nobody asked for that of a changed copy."""
    _printed: bytes | None = field(default=None, init=False, repr=False)

    @property
    def body(self) -> bytes:
        """The whole message as JSON."""
        packed = self.packed
        if packed is None:
            packed = self.packed = jsonio.dumps(self.parsed)
        return packed

    @property
    def printed(self) -> bytes:
        """`body` with numbers as JavaScript prints them: receivers made for Segment sign exactly that. Looked at once for all destinations."""
        if self._printed is None:
            self._printed = jsonio.js_text(self.body, self.payload)
        return self._printed

    @property
    def payload(self) -> Mapping[str, Any]:
        """The whole message."""
        parsed = self.parsed
        if parsed is None:
            parsed = self.parsed = jsonio.loads(self.body)
        return parsed

    @property
    def keys(self) -> tuple[str, ...]:
        """The user keys whose order this event belongs to: two for alias, and for identify with both ids."""
        user, anonymous = self.user_id, self.anonymous_id
        if self.type == "alias":
            previous = str(self.payload.get("previousId") or "")
            first = user or anonymous
            return (first, previous) if first and previous and first != previous else ((first or previous,) if first or previous else ())
        if self.type == "identify" and user and anonymous and user != anonymous:
            return (user, anonymous)
        return (user,) if user else (anonymous,) if anonymous else ()

    @staticmethod
    def from_body(source_id: str, received_ms: int, body: bytes) -> "Event":
        """The event that was stored as `body`; an empty body is a tombstone."""
        if not body:
            return Event("", source_id, DELETED, "", "", "", received_ms, {}, body)
        return event_of(jsonio.loads(body), source_id, received_ms, body)


def event_of(payload: Mapping[str, Any], source_id: str, received_ms: int, body: bytes | None) -> Event:
    """The event whose normalised message is `payload`, with `body` as its JSON; None: that is made when somebody asks."""
    kind = payload["type"]
    name = payload.get("event") if kind == "track" else payload.get("name") if kind in ("page", "screen") else ""
    return Event(
        payload["messageId"], source_id, kind, name or "", payload.get("userId") or "", payload.get("anonymousId") or "",
        received_ms, payload, body,
    )  # fmt: skip


def changed(event: Event, payload: Mapping[str, Any]) -> Event:
    """A copy of `event` whose message is `payload`; it keeps its id, its source and its time of arrival."""
    return event_of(payload, event.source_id, event.received_ms, None)
