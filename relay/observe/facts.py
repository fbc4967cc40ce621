"""What relay reports about itself, as types: a fact knows its log line and what it counts, so that the two cannot disagree.

Facts are made on the hot path, hence slots and no work in the constructors. A fact never holds a body, a trait, a header or a key.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

from relay.base.codes import Door

DELIVERED = Door.DELIVERED.value
DEAD = Door.DEAD.value


class Counters(Protocol):
    """Where facts count; the metrics implement it."""

    def count(self, name: str, *labels: str, by: int = 1) -> None:
        """Add `by` to a counter."""
        ...

    def set(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge."""
        ...

    def observe(self, name: str, value: float, *labels: str, by: int = 1) -> None:
        """Add a value to a histogram, `by` times."""
        ...


class Fact(Protocol):
    """`line` is asked for only when the level is printed."""

    @property
    def level(self) -> str: ...

    def line(self) -> tuple[str, dict[str, Any]]:
        """The event's constant name, and its keys."""
        ...

    def measure(self, counters: Counters) -> None: ...


class DeliveryAttempted(NamedTuple):
    """One attempt of one entry, or of a batch that was delivered whole (`entries`; `message_id` is that of its first).

    A named tuple: the one fact made per event, and four times cheaper to make.
    `outcome`: a door, `retry`, or `hold` (the verdict was about the destination). `latency_s`: since the event (the first of a batch)
    was received; None: it was sent again or replayed, so its age says nothing.
    """

    destination: str
    source: str
    message_id: str
    definition: str
    action: str
    attempt: int
    outcome: str
    status: int | None
    code: str
    duration_ms: float
    latency_s: float | None = None
    entries: int = 1

    @property
    def level(self) -> str:
        return "debug" if self.outcome == DELIVERED else "warning" if self.outcome == DEAD else "info"

    def line(self) -> tuple[str, dict[str, Any]]:
        keys = self._asdict()
        del keys["latency_s"]
        return "delivery.attempted", {**keys, "duration_ms": round(self.duration_ms, 1)}

    def measure(self, counters: Counters) -> None:
        counters.count("relay_attempts_total", self.destination, self.outcome, by=self.entries)
        counters.observe("relay_attempt_duration_seconds", self.duration_ms / 1000, self.destination)
        if self.outcome == DELIVERED and self.latency_s is not None:
            counters.observe("relay_delivery_latency_seconds", max(0.0, self.latency_s), self.destination, by=self.entries)


class RequestAccepted(NamedTuple):
    """One tracking request was answered 200, after the commit. `duplicates`: its messages that had come before."""

    source: str
    body_bytes: int
    duration_s: float
    entries: int = 1
    duplicates: int = 0

    @property
    def level(self) -> str:
        return "debug"

    def line(self) -> tuple[str, dict[str, Any]]:
        keys = {"source": self.source, "body_bytes": self.body_bytes, "entries": self.entries, "duplicates": self.duplicates}
        return "request.accepted", {**keys, "duration_ms": round(self.duration_s * 1000, 1)}

    def measure(self, counters: Counters) -> None:
        counters.count("relay_ingest_requests_total", self.source, "2xx")
        counters.count("relay_ingest_bytes_total", by=self.body_bytes)
        counters.observe("relay_ingest_request_duration_seconds", self.duration_s)
        if self.duplicates:
            counters.count("relay_events_deduplicated_total", self.source, by=self.duplicates)


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A request was answered with an error: the caller's fault (4xx), or relay cannot take it now (5xx)."""

    status: int
    code: str
    source: str = ""
    message: str = ""
    request_id: str = ""

    @property
    def level(self) -> str:
        return "debug"

    def line(self) -> tuple[str, dict[str, Any]]:
        keys = {"status": self.status, "code": self.code, "source": self.source, "message": self.message, "request_id": self.request_id}
        return "request.refused", keys

    def measure(self, counters: Counters) -> None:
        counters.count("relay_ingest_requests_total", self.source, f"{self.status // 100}xx")


@dataclass(frozen=True, slots=True)
class DestinationHeld:
    """Deliveries stopped; the entries wait. `by`: `relay`, or the person's name."""

    destination: str
    by: str
    code: str
    status: int | None = None
    level: ClassVar[str] = "warning"

    def line(self) -> tuple[str, dict[str, Any]]:
        return "destination.held", {"destination": self.destination, "by": self.by, "code": self.code, "status": self.status}

    def measure(self, counters: Counters) -> None:
        counters.count("relay_holds_total", self.destination, self.code)


@dataclass(frozen=True, slots=True)
class DestinationReleased:
    """Deliveries go on."""

    destination: str
    by: str = "relay"
    level: ClassVar[str] = "info"

    def line(self) -> tuple[str, dict[str, Any]]:
        return "destination.released", {"destination": self.destination, "by": self.by}

    def measure(self, counters: Counters) -> None:
        return None


@dataclass(frozen=True, slots=True)
class BreakerChanged:
    """The gate of a destination is `closed`, `open`, `half_open` (probing) or `held` now."""

    destination: str
    state: str

    @property
    def level(self) -> str:
        return "warning" if self.state == "open" else "info"

    def line(self) -> tuple[str, dict[str, Any]]:
        return "breaker.changed", {"destination": self.destination, "state": self.state}

    def measure(self, counters: Counters) -> None:
        counters.count("relay_breaker_changes_total", self.destination, self.state)


@dataclass(frozen=True, slots=True)
class ActorCrashed:
    """An actor failed and will be started again; the traceback is in the supervisor's own line."""

    destination: str
    delay_s: float
    level: ClassVar[str] = "error"

    def line(self) -> tuple[str, dict[str, Any]]:
        return "actor.restarting", {"destination": self.destination, "delay_ms": round(self.delay_s * 1000)}

    def measure(self, counters: Counters) -> None:
        counters.count("relay_actor_restarts_total", self.destination)


@dataclass(frozen=True, slots=True)
class ConfigReloaded:
    """A workspace version is in use. `changed`: slugs of the sources and destinations that are new, different or gone."""

    version: int
    changed: tuple[str, ...] = ()
    by: str = ""
    level: ClassVar[str] = "info"

    def line(self) -> tuple[str, dict[str, Any]]:
        return "config.reloaded", {"version": self.version, "changed": self.changed, "by": self.by}

    def measure(self, counters: Counters) -> None:
        counters.set("relay_config_last_reload_successful", 1)
        counters.set("relay_workspace_version", self.version)


@dataclass(frozen=True, slots=True)
class ReloadRefused:
    """The new configuration has mistakes; the old one stays in use."""

    errors: tuple[str, ...]
    by: str = ""
    level: ClassVar[str] = "error"

    def line(self) -> tuple[str, dict[str, Any]]:
        return "config.refused", {"errors": self.errors, "by": self.by}

    def measure(self, counters: Counters) -> None:
        counters.set("relay_config_last_reload_successful", 0)


@dataclass(frozen=True, slots=True)
class StoreFull:
    """The database takes no events; ingest answers 503."""

    reason: str
    level: ClassVar[str] = "error"

    def line(self) -> tuple[str, dict[str, Any]]:
        return "store.filled", {"code": self.reason}

    def measure(self, counters: Counters) -> None:
        counters.set("relay_store_full", 1)


@dataclass(frozen=True, slots=True)
class StoreOpen:
    """The database takes events again."""

    level: ClassVar[str] = "info"

    def line(self) -> tuple[str, dict[str, Any]]:
        return "store.reopened", {}

    def measure(self, counters: Counters) -> None:
        counters.set("relay_store_full", 0)


@dataclass(frozen=True, slots=True)
class AlertFired:
    """A rule found its condition for long enough. `subject`: the slug of a source or destination, or `relay`; `firing`: alerts of the rule now."""

    rule: str
    subject: str
    text: str
    firing: int
    level: ClassVar[str] = "warning"

    def line(self) -> tuple[str, dict[str, Any]]:
        return "alert.fired", {"rule": self.rule, "subject": self.subject, "text": self.text}

    def measure(self, counters: Counters) -> None:
        counters.count("relay_alerts_fired_total", self.rule)
        counters.set("relay_alerts_firing", self.firing, self.rule)


@dataclass(frozen=True, slots=True)
class AlertResolved:
    """The condition of a firing rule has been away for long enough."""

    rule: str
    subject: str
    lasted_s: float
    firing: int
    level: ClassVar[str] = "info"

    def line(self) -> tuple[str, dict[str, Any]]:
        return "alert.resolved", {"rule": self.rule, "subject": self.subject, "duration_ms": round(self.lasted_s * 1000)}

    def measure(self, counters: Counters) -> None:
        counters.set("relay_alerts_firing", self.firing, self.rule)


@dataclass(frozen=True, slots=True)
class AlertGoesOn:
    """An alert that an earlier process fired is still firing."""

    rule: str
    subject: str
    firing: int
    level: ClassVar[str] = "info"

    def line(self) -> tuple[str, dict[str, Any]]:
        return "alert.continued", {"rule": self.rule, "subject": self.subject}

    def measure(self, counters: Counters) -> None:
        counters.set("relay_alerts_firing", self.firing, self.rule)
