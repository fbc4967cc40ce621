"""What a live row says, and what filters may look at beside it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from relay.base import jsonio
from relay.base.event import Event
from relay.base.masking import mask
from relay.observe.row_filter import Material
from relay.outbox.interface import PARKED, RETRY, RefusedMessage
from relay.pipeline.compiled import Compiled, Current

PENDING: Final = "pending"
SENDING: Final = "sending"
HELD: Final = "held"
ACCEPTED: Final = "accepted"
BLOCKED: Final = "blocked"
WORST_FIRST: Final = (RETRY, PARKED, HELD, PENDING, "dead", "expired", "blocked", "discarded", "delivered", "filtered")

Row = dict[str, Any]
To = dict[str, str]


class Body:
    """What filters look at: the stored JSON, parsed again when a filter asks after the row was published."""

    __slots__ = ("_masked", "_payload", "body")

    def __init__(self, body: bytes, payload: Mapping[str, Any] | None = None) -> None:
        self.body = body
        self._payload = payload
        self._masked: Body | None = None

    @property
    def payload(self) -> Mapping[str, Any]:
        if self._payload is not None:
            return self._payload
        value = jsonio.loads(self.body) if self.body else {}
        return value if isinstance(value, dict) else {}

    def masked(self, names: tuple[str, ...]) -> "Body":
        """The same as somebody sees it who may not see secrets; made once while the row is published, for all who ask with these names."""
        if self._masked is not None:
            return self._masked
        payload = mask(self.payload, names)
        masked = Body(jsonio.dumps(payload) if self.body else b"", payload)
        if self._payload is not None:
            self._masked = masked
        return masked

    def release(self) -> None:
        """Keep the bytes only: they are a quarter of the parsed payload."""
        self._payload = self._masked = None


def masked(material: Material, names: tuple[str, ...]) -> Material:
    """The material without what is secret by its name."""
    return material.masked(names) if isinstance(material, Body) else material


class RowMaker:
    """Makes rows under the workspace version in use. `held`: slugs of the destinations whose entries wait; set by `hold`."""

    def __init__(self, current: Current) -> None:
        self.held: frozenset[str] = frozenset()
        self._current = current
        self._starts: dict[str, tuple[str, To]] = {}
        self._starts_of: Compiled | None = None
        self._second, self._second_text = 0, ""

    def hold(self, held: frozenset[str]) -> None:
        self.held, self._starts = held, {}

    def start(self, source_id: str) -> tuple[str, To]:
        """The source's slug, and how an event of it starts at each destination. Never changed in place: rows share it."""
        compiled = self._current.compiled
        if self._starts_of is not compiled:
            self._starts, self._starts_of = {}, compiled
        found = self._starts.get(source_id)
        if found is None:
            source = compiled.sources.get(source_id)
            slugs = [one.destination.slug for one in compiled.destinations.values() if source_id in one.source_ids]
            to = {slug: HELD if slug in self.held else PENDING for slug in slugs}
            found = self._starts[source_id] = (source.source.slug if source else source_id, to)
        return found

    def event(self, seq: int, event: Event, to: To, verdict: str = ACCEPTED, code: str | None = None, *, plan: int = 0) -> Row:
        """The row of a stored event. `plan`: how many times it breaks its plan."""
        row = self._row(f"e{seq}", event, verdict, code, to)
        row["plan"] = plan
        return row

    def refused(self, one: RefusedMessage) -> tuple[Row, Material]:
        """The row of a message that did not become an event."""
        verdict = one.code if one.code in ("duplicate", "suppressed") else "rejected"
        return self._row(f"r{one.refused_id}", one, verdict, one.code, {}), Body(one.body)

    def _row(self, event_id: str, event: Event | RefusedMessage, verdict: str, code: str | None, to: To) -> Row:
        return {
            "event_id": event_id,
            "message_id": event.message_id,
            "at": self._at(event.received_ms),
            "source": self.start(event.source_id)[0],
            "type": event.type or None,
            "name": event.name or None,
            "user_id": event.user_id or None,
            "anonymous_id": event.anonymous_id or None,
            "bytes": len(event.body),
            "verdict": verdict,
            "code": code,
            "plan": 0,
            "to": to,
        }

    def _at(self, unix_ms: int) -> str:
        """ISO-8601 with milliseconds; neighbours share their second."""
        second, ms = divmod(unix_ms, 1000)
        if second != self._second:
            self._second, self._second_text = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._second_text}.{ms:03d}Z"


def worst(states: Iterable[str]) -> str:
    """The state of an event whose units at one destination have these."""
    return min(states, key=lambda state: WORST_FIRST.index(state) if state in WORST_FIRST else len(WORST_FIRST))
