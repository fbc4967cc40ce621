"""The numbers of `/metrics`: plain dicts on the hot path, made into Prometheus families when somebody scrapes.

Names: prefix `relay_`, base units, `_total` on counters. Labels are slugs, codes and states; never a user, an event name or a message id.
What must be asked (backlog, states, room on disk) comes as a `Snapshot` that the handler took before it renders.
"""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from relay.base.codes import Door
from relay.observe.tallies import VIOLATED, Totals

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

COUNTERS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "relay_ingest_requests_total": ("Requests to the tracking API, by class of status.", ("source", "status_class")),
    "relay_ingest_bytes_total": ("Bytes of request bodies that were taken.", ()),
    "relay_events_deduplicated_total": ("Messages that had come before, and were dropped.", ("source",)),
    "relay_attempts_total": ("Attempts to deliver, by outcome.", ("destination", "outcome")),
    "relay_holds_total": ("How often deliveries to the destination were stopped.", ("destination", "code")),
    "relay_breaker_changes_total": ("How often the gate of the destination came into the state.", ("destination", "state")),
    "relay_live_rows_dropped_total": ("Live rows that a viewer did not get, because it was slow or its rate limited.", ("code",)),
    "relay_actor_restarts_total": ("Crashes of the destination's actor.", ("destination",)),
    "relay_alerts_fired_total": ("How often the rule fired.", ("rule",)),
}
GAUGES: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "relay_config_last_reload_successful": ("1: the configuration read last is in use.", ()),
    "relay_workspace_version": ("Number of the workspace version in use.", ()),
    "relay_store_full": ("1: the database takes no events.", ()),
    "relay_alerts_firing": ("Alerts of the rule that go on.", ("rule",)),
    "relay_live_viewers": ("Who watches the live events.", ()),
}
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)
_AGES: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
HISTOGRAMS: Final[dict[str, tuple[str, tuple[str, ...], tuple[float, ...]]]] = {
    "relay_ingest_request_duration_seconds": ("From the request's head to the answer after the commit.", (), _SECONDS),
    "relay_attempt_duration_seconds": ("Duration of one attempt.", ("destination",), _SECONDS),
    "relay_delivery_latency_seconds": ("From received to delivered; not of what was sent again or replayed.", ("destination",), _AGES),
    "relay_outbox_commit_duration_seconds": ("Duration of one commit.", (), (0.0005, 0.001, 0.0025, *_SECONDS)),
    "relay_outbox_commit_rows": ("Rows written in one commit.", (), (1.0, 10.0, 100.0, 1000.0, 10000.0)),
}
DOORS: Final[dict[str, tuple[str, bool]]] = {
    Door.DELIVERED: ("Entries that the receiver has taken.", False),
    Door.FILTERED: ("Entries that a rule left out on purpose.", True),
    Door.BLOCKED: ("Entries that a plan or a schema setting blocked.", True),
    Door.DEAD: ("Entries given up; kept as dead letters.", True),
    Door.EXPIRED: ("Entries given up to make room.", False),
    Door.DISCARDED: ("Entries that a person threw away.", True),
}
"""Text, and whether the code is a label."""
STATES: Final = ("running", "held", "breaker_open", "disabled")
BREAKER: Final = ("closed", "open", "half_open", "held")


@dataclass(frozen=True, slots=True)
class DestinationFigures:
    """One destination at the moment of a scrape."""

    slug: str
    state: str
    """One of STATES."""
    breaker: str
    """One of BREAKER."""
    accepted: int
    pending: int
    retry: int
    parked: int
    dead: int
    oldest_age_s: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is asked at a scrape. `slugs`: by source or destination id, for the labels of the tallies."""

    destinations: tuple[DestinationFigures, ...] = ()
    slugs: Mapping[str, str] = field(default_factory=dict)
    outbox_bytes: int | None = None
    disk_free_bytes: int | None = None
    loop_lag_s: float | None = None


Gauges = Callable[[], Awaitable[Snapshot]]
Labels = tuple[str, ...]


class Histogram:
    """Counts by bucket, not cumulated, and the sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, by: int) -> None:
        self.counts[bisect_left(self.bounds, value)] += by
        self.total += value * by

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulated, as Prometheus wants them."""
        cumulated, so_far = [], 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            so_far += count
            cumulated.append((bound, float(so_far)))
        return cumulated


class Metrics:
    """Implements `facts.Counters`. One registry of its own: nothing that a library registers globally shows up here."""

    def __init__(self, totals: Totals, *, version: str) -> None:
        self._totals = totals
        self._version = version
        self._counters: dict[str, dict[Labels, int]] = {name: {} for name in COUNTERS}
        self._gauges: dict[str, dict[Labels, float]] = {name: {} for name in GAUGES}
        self._histograms: dict[str, dict[Labels, Histogram]] = {name: {} for name in HISTOGRAMS}
        self._gauges["relay_config_last_reload_successful"][()] = 1
        self._gauges["relay_store_full"][()] = self._gauges["relay_live_viewers"][()] = 0
        self._snapshot = Snapshot()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def count(self, name: str, *labels: str, by: int = 1) -> None:
        series = self._counters[name]
        series[labels] = series.get(labels, 0) + by

    def set(self, name: str, value: float, *labels: str) -> None:
        self._gauges[name][labels] = value

    def observe(self, name: str, value: float, *labels: str, by: int = 1) -> None:
        series = self._histograms[name]
        histogram = series.get(labels)
        if histogram is None:
            histogram = series[labels] = Histogram(HISTOGRAMS[name][2])
        histogram.observe(value, by)

    def render(self, snapshot: Snapshot) -> bytes:
        """The page in Prometheus' text format."""
        self._snapshot = snapshot
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Asked by the registry while it renders."""
        yield _gauge("relay_build_info", "Which relay this is.", ("version",), [((self._version,), 1)])
        for name, (text, labels) in COUNTERS.items():
            yield _counter(name, text, labels, self._counters[name].items())
        for name, (text, labels) in GAUGES.items():
            yield _gauge(name, text, labels, self._gauges[name].items())
        for name, (text, labels, _) in HISTOGRAMS.items():
            family = HistogramMetricFamily(name, text, labels=labels)
            for values, histogram in self._histograms[name].items():
                family.add_metric(values, histogram.buckets(), histogram.total)
            yield family
        yield from self._event_families()
        yield from _destination_families(self._snapshot.destinations)
        yield from _machine_families(self._snapshot)

    def _event_families(self) -> Iterator[Metric]:
        """Events and entries, from the totals: what is shown here was committed.

        The router counts an event under stage `source` with its type, or under the door by which a rule stopped it.
        """
        received: dict[Labels, int] = {}
        blocked: dict[Labels, int] = {}
        rejected: dict[Labels, int] = {}
        violating: dict[Labels, int] = {}
        doors: dict[str, dict[Labels, int]] = {door: {} for door in DOORS}
        for (source_id, destination_id, stage, code, _), n in self._totals.counts.items():
            source = self._slug(source_id)
            if stage == "ingest" and code != "duplicate":  # those are in relay_events_deduplicated_total
                _add(rejected, (source, code), n)
            elif stage == "source":
                _add(received, (source, code), n)
            elif stage == VIOLATED:
                _add(violating, (source, code), n)
            elif stage in DOORS and not destination_id:
                _add(blocked, (source, code), n)
            elif stage in DOORS:
                destination = self._slug(destination_id)
                _add(doors[stage], (destination, code) if DOORS[stage][1] else (destination,), n)
        yield _counter("relay_events_received_total", "Stored events that passed the source side.", ("source", "type"), received.items())
        yield _counter("relay_events_blocked_total", "Stored events that the source side stopped.", ("source", "code"), blocked.items())
        yield _counter("relay_events_violating_total", "Stored events that broke their plan and went on.", ("source", "type"), violating.items())
        yield _counter("relay_events_rejected_total", "Messages refused at ingest.", ("source", "code"), rejected.items())
        for door, (text, coded) in DOORS.items():
            yield _counter(f"relay_entries_{door}_total", text, ("destination", "code") if coded else ("destination",), doors[door].items())

    def _slug(self, some_id: str) -> str:
        return self._snapshot.slugs.get(some_id, some_id)


def _destination_families(figures: Iterable[DestinationFigures]) -> Iterator[Metric]:
    accepted, backlog, oldest, states, breakers = [], [], [], [], []
    for one in figures:
        accepted.append(((one.slug,), one.accepted))
        backlog += [((one.slug, state), getattr(one, state)) for state in ("pending", "retry", "parked", "dead")]
        oldest.append(((one.slug,), one.oldest_age_s))
        states += [((one.slug, state), int(one.state == state)) for state in STATES]
        breakers += [((one.slug, state), int(one.breaker == state)) for state in BREAKER]
    yield _counter("relay_entries_accepted_total", "Entries that belong to the destination, since it exists.", ("destination",), accepted)
    yield _gauge("relay_backlog_entries", "What waits; pending holds retry and parked.", ("destination", "state"), backlog)
    yield _gauge("relay_backlog_oldest_seconds", "Age of the oldest pending entry.", ("destination",), oldest)
    yield _gauge("relay_destination_state", "1 at the state the destination is in.", ("destination", "state"), states)
    yield _gauge("relay_breaker_state", "1 at the state the gate of the destination is in.", ("destination", "state"), breakers)


def _machine_families(snapshot: Snapshot) -> Iterator[Metric]:
    for name, text, value in (
        ("relay_outbox_bytes", "Size of the database.", snapshot.outbox_bytes),
        ("relay_disk_free_bytes", "Free room on the disk of the data folder.", snapshot.disk_free_bytes),
        ("relay_loop_lag_seconds", "How late the event loop's last tick was.", snapshot.loop_lag_s),
    ):
        if value is not None:
            yield _gauge(name, text, (), [((), value)])


def _add(series: dict[Labels, int], labels: Labels, count: int) -> None:
    series[labels] = series.get(labels, 0) + count


def _counter(name: str, text: str, labels: Labels, series: Iterable[tuple[Labels, float]]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, value in series:
        family.add_metric(values, value)
    return family


def _gauge(name: str, text: str, labels: Labels, series: Iterable[tuple[Labels, float]]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in series:
        family.add_metric(values, value)
    return family
