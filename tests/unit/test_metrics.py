"""The metrics page says what was counted, under the documented names."""

from prometheus_client.parser import text_string_to_metric_families

from relay.base.clock import SystemClock
from relay.observe.facts import (
    ActorCrashed,
    AlertFired,
    BreakerChanged,
    ConfigReloaded,
    DeliveryAttempted,
    DestinationHeld,
    ReloadRefused,
    RequestAccepted,
    RequestRefused,
    StoreFull,
)
from relay.observe.metrics import COUNTERS, GAUGES, HISTOGRAMS, DestinationFigures, Metrics, Snapshot
from relay.observe.observer import Observer
from relay.observe.row_filter import RowFilter
from relay.observe.tallies import TallyKey, Totals
from relay.observe.tap import NOTHING, Tap

EVERYTHING = Snapshot((DestinationFigures("orders", "held", "open", 10, 3, 1, 1, 2, 42.5),), {"src1": "web", "d1": "orders"}, 4096, 8192, 0.01)


def samples(metrics: Metrics, snapshot: Snapshot = EVERYTHING) -> dict[tuple[str, tuple[str, ...]], float]:
    """By name and the values of its labels in the order of their names."""
    families = text_string_to_metric_families(metrics.render(snapshot).decode())
    return {(one.name, tuple(value for _, value in sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def test_facts_are_counted() -> None:
    metrics = Metrics(Totals(), version="1.2.3")
    observer = Observer(metrics)
    for outcome, latency_s in (("delivered", 0.3), ("delivered", None), ("retry", 0.1), ("delivered", 20_000.0)):
        observer.emit(DeliveryAttempted("orders", "web", "m", "webhook", "send", 1, outcome, 200, "", 30.0, latency_s))
    observer.emit(RequestRefused(401, "unauthorized"))
    observer.emit(ActorCrashed("orders", 1.0))
    observer.emit(ConfigReloaded(7))
    observer.emit(ReloadRefused(("wrong",)))
    observer.emit(RequestAccepted("web", 512, 0.004, entries=3, duplicates=2))
    observer.committed(0.002, 20)
    told = samples(metrics)
    assert told["relay_build_info", ("1.2.3",)] == 1
    assert told["relay_attempts_total", ("orders", "delivered")] == 3
    assert told["relay_attempts_total", ("orders", "retry")] == 1
    assert told["relay_attempt_duration_seconds_count", ("orders",)] == 4
    assert told["relay_attempt_duration_seconds_bucket", ("orders", "0.05")] == 4
    assert told["relay_attempt_duration_seconds_bucket", ("orders", "0.025")] == 0
    assert [told["relay_delivery_latency_seconds_bucket", ("orders", bound)] for bound in ("0.25", "0.5", "14400.0", "+Inf")] == [0, 1, 1, 2]
    assert told["relay_ingest_requests_total", ("", "4xx")] == 1
    assert told["relay_ingest_requests_total", ("web", "2xx")] == 1
    assert told["relay_events_deduplicated_total", ("web",)] == 2
    assert told["relay_ingest_bytes_total", ()] == 512
    assert told["relay_actor_restarts_total", ("orders",)] == 1
    assert told["relay_workspace_version", ()] == 7
    assert told["relay_config_last_reload_successful", ()] == 0
    assert told["relay_outbox_commit_rows_sum", ()] == 20


def test_every_metric_is_moved_by_something() -> None:
    metrics = Metrics(Totals(), version="1")
    observer = Observer(metrics)
    observer.emit(DeliveryAttempted("orders", "web", "m", "webhook", "send", 1, "delivered", 200, "", 30.0, 0.3))
    observer.emit(RequestAccepted("web", 512, 0.004, entries=1, duplicates=1))
    observer.emit(DestinationHeld("orders", "relay", "credentials", 401))
    observer.emit(BreakerChanged("orders", "open"))
    observer.emit(ActorCrashed("orders", 1.0))
    observer.emit(ConfigReloaded(7))
    observer.emit(StoreFull("disk"))
    observer.emit(AlertFired("success rate", "orders", "it fails", 1))
    observer.committed(0.002, 20)
    tap = Tap(SystemClock(), metrics, max_rate=1)
    tap.start()
    tap.subscribe(RowFilter({"all": []}))
    tap.publish(({"event_id": number, "to": {}}, NOTHING) for number in "123")
    moved = {name for (name, _), value in samples(metrics).items() if value > 0}
    assert {*COUNTERS, *GAUGES, *(f"{name}_count" for name in HISTOGRAMS)} <= moved


def test_a_value_on_a_bound_falls_into_its_bucket() -> None:
    metrics = Metrics(Totals(), version="1")
    for value in (0.005, 0.0051, 99.0):
        metrics.observe("relay_attempt_duration_seconds", value, "orders")
    told = samples(metrics)
    assert [told["relay_attempt_duration_seconds_bucket", ("orders", bound)] for bound in ("0.005", "0.01", "+Inf")] == [1, 2, 3]


def test_drops_on_purpose_and_losses_are_different_metrics() -> None:
    totals = Totals()
    totals.add(
        {
            TallyKey(1, "src1", "", "source", "track", True): 8,
            TallyKey(1, "src1", "", "blocked", "plan", True): 2,
            TallyKey(1, "src1", "", "ingest", "event_too_large", True): 3,
            TallyKey(1, "src1", "", "ingest", "duplicate", False): 4,
            TallyKey(1, "src1", "d1", "delivered", "delivered", True): 5,
            TallyKey(2, "src1", "d1", "delivered", "delivered", False): 1,
            TallyKey(1, "src1", "d1", "filtered", "NO_MATCHING_MAPPING", False): 6,
            TallyKey(1, "src1", "d1", "dead", "BAD_REQUEST", True): 7,
            TallyKey(1, "src1", "d1", "blocked", "plan", True): 1,
            TallyKey(1, "src1", "d1", "retry", "ETIMEDOUT", True): 9,
        }
    )
    told = samples(Metrics(totals, version="1"))
    assert told["relay_events_received_total", ("web", "track")] == 8
    assert told["relay_events_blocked_total", ("plan", "web")] == 2
    assert told["relay_events_rejected_total", ("event_too_large", "web")] == 3
    assert ("relay_events_rejected_total", ("duplicate", "web")) not in told
    assert told["relay_entries_blocked_total", ("plan", "orders")] == 1
    assert told["relay_entries_delivered_total", ("orders",)] == 6
    assert told["relay_entries_filtered_total", ("NO_MATCHING_MAPPING", "orders")] == 6
    assert told["relay_entries_dead_total", ("BAD_REQUEST", "orders")] == 7
    assert not [name for name, _ in told if "retry" in name]


def test_what_is_asked_at_the_scrape_is_of_the_snapshot() -> None:
    told = samples(Metrics(Totals(), version="1"))
    assert told["relay_backlog_entries", ("orders", "pending")] == 3
    assert told["relay_backlog_oldest_seconds", ("orders",)] == 42.5
    assert {state: told["relay_destination_state", ("orders", state)] for state in ("running", "held", "breaker_open", "disabled")} == {
        "running": 0, "held": 1, "breaker_open": 0, "disabled": 0,
    }  # fmt: skip
    assert told["relay_breaker_state", ("orders", "open")] == 1
    assert told["relay_entries_accepted_total", ("orders",)] == 10
    assert told["relay_outbox_bytes", ()] == 4096
    assert told["relay_disk_free_bytes", ()] == 8192
    assert told["relay_loop_lag_seconds", ()] == 0.01


def test_every_name_has_the_prefix_and_help() -> None:
    text = Metrics(Totals(), version="1").render(EVERYTHING).decode()
    families = list(text_string_to_metric_families(text))
    assert all(family.name.startswith(("relay_", "process_")) and family.documentation for family in families)
    assert any(family.name == "process_resident_memory_bytes" for family in families)
    assert "python_gc" not in text


def test_unknown_figures_are_left_out_rather_than_zero() -> None:
    assert not [name for name, _ in samples(Metrics(Totals(), version="1"), Snapshot()) if name in ("relay_disk_free_bytes", "relay_outbox_bytes")]
