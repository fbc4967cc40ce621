"""Rates from totals, and what happens to measures when they cannot be written."""

from collections.abc import Sequence
from typing import Any

from relay.control.measure import Measure, Rates
from relay.errors import StoreError
from relay.observe.facts import DeliveryAttempted
from relay.observe.latency import Latency, LatencyKey
from relay.observe.metrics import Metrics
from relay.observe.observer import Observer
from relay.observe.tallies import TallyKey, Totals
from relay.outbox.interface import Outcome, Sample, Settlement
from relay.workspace.model import Destination, Source, Workspace


class Clock:
    def __init__(self) -> None:
        self.at_s = 6_000.0

    def now(self) -> float:
        return self.at_s

    def monotonic(self) -> float:
        return self.at_s


def count(totals: Totals, n: int, *, to: str = "", stage: str = "source", code: str = "track") -> None:
    totals.add({TallyKey(1, "web", to, stage, code, True): n})


def test_rates_are_of_the_last_minute_or_since_the_start() -> None:
    clock, totals = Clock(), Totals()
    rates = Rates(totals, clock)
    assert rates.now() == {}
    count(totals, 50)
    clock.at_s += 10
    assert rates.now() == {("in", "web"): 5.0}
    for _ in range(24):
        rates.tick()
        clock.at_s += 5
    assert rates.now() == {("in", "web"): 0.0}
    count(totals, 60)
    assert 0.9 <= rates.now()["in", "web"] <= 1.0


def test_flows_are_told_apart_and_refusals_are_none() -> None:
    clock, totals = Clock(), Totals()
    rates = Rates(totals, clock)
    count(totals, 6)
    count(totals, 2, stage="blocked", code="unplanned")
    count(totals, 9, stage="ingest", code="too_deep")
    count(totals, 4, to="d", stage="delivered")
    count(totals, 3, to="d", stage="filtered")
    count(totals, 7, to="d", stage="retry")
    clock.at_s += 2
    assert rates.now() == {("in", "web"): 4.0, ("blocked", "web"): 1.0, ("out", "d"): 2.0, ("left", "d"): 3.5}


def test_the_last_event_of_a_source_is_known_to_a_tick_and_snapshots_are_bounded() -> None:
    clock, totals = Clock(), Totals()
    rates = Rates(totals, clock)
    count(totals, 1)
    for _ in range(200):
        clock.at_s += 5
        rates.tick()
    assert rates.last_s == {"web": 6_005.0}
    assert len(rates._past) <= 14


class Store:
    """Stands where the outbox is; may be full."""

    def __init__(self) -> None:
        self.on_settled: list[Any] = []
        self.full = False
        self.written: list[tuple[Latency, list[Sample]]] = []

    async def measured(self, latency: Latency, samples: Sequence[Sample]) -> None:
        if self.full:
            raise StoreError("disk full")
        self.written.append((dict(latency), list(samples)))


async def test_what_a_full_disk_refuses_is_written_later_together_with_what_came_since() -> None:
    from relay.destinations import load_catalog
    from relay.pipeline.compiled import Current, compile_workspace

    workspace = Workspace(1, (Source("web", "web", "Web", ("wk",)),), (Destination("id-hook", "hook", "Hook", "webhook", ("web",)),))
    clock, store, totals = Clock(), Store(), Totals()
    observer = Observer(Metrics(totals, version="1"), level="error")
    measure = Measure(store, totals, Current(compile_workspace(workspace, load_catalog())), clock, observer)  # type: ignore[arg-type]
    fact = DeliveryAttempted("hook", "web", "m", "webhook", "send", 1, "delivered", 200, "delivered", 30.0, 0.02)
    observer.emit(fact)
    store.on_settled[0]("id-hook", [Settlement(1, "web", (Outcome("send", "dead", "400", 1, 1.0, 0.0, 400, b"{}"),))], [])
    store.full = True
    await measure.flush()
    observer.emit(fact)
    assert [one.seq for one in measure.samples("id-hook", "400")] == [1]
    store.full = False
    await measure.flush()
    await measure.flush()
    assert [(latency, [one.seq for one in samples]) for latency, samples in store.written] == [({LatencyKey(100, "id-hook", 3): 2}, [1])]
    assert measure.attempt_ms("hook") == 30.0
