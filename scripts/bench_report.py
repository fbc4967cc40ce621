"""What a benchmark says: rows as JSON lines, a table for people, and the targets with their verdicts."""

import json
import platform
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """One promise: `field` of the row `suite`/`case` is at least, or at most, `limit`; `over`: divided by that of another case."""

    name: str
    what: str
    suite: str
    case: str
    field: str
    least: float | None = None
    most: float | None = None
    over: str = ""

    def value(self, rows: Sequence[Row]) -> float | None:
        """The measured figure; None: its suite did not run."""
        found = {row["case"]: row for row in rows if row["suite"] == self.suite}
        if self.case not in found or self.field not in found[self.case]:
            return None
        value = float(found[self.case][self.field])
        return value / max(0.01, float(found[self.over][self.field])) if self.over else value


TARGETS = (
    Target("T1", "durable single ingest vs hello, CPU", "ceiling", "durable_full/single", "ratio_cpu", least=0.55),
    Target("T2", "durable batch of 20 vs parse, CPU", "ceiling", "durable_full/batch20", "ratio_cpu", least=0.45),
    Target("T3", "durable batch of 100 vs parse, CPU", "ceiling", "durable_full/batch100", "ratio_cpu", least=0.40),
    Target("T4", "FULL vs NORMAL, single, CPU", "ceiling", "durable_full/single", "cpu_us_per_event", most=1 / 0.85, over="durable_normal/single"),
    Target(
        "T4", "FULL vs NORMAL, batch of 20, CPU", "ceiling", "durable_full/batch20", "cpu_us_per_event", most=1 / 0.85, over="durable_normal/batch20"
    ),
    Target("T5", "relay vs durable prototype, single, CPU", "ingest", "relay/single", "ratio_cpu", least=0.55),
    Target("T5", "relay vs durable prototype, batch of 20, CPU", "ingest", "relay/batch20", "ratio_cpu", least=0.38),
    Target("T5", "relay vs durable prototype, batch of 100, CPU", "ingest", "relay/batch100", "ratio_cpu", least=0.38),
    Target("T6", "20 held destinations vs 1, single, CPU", "ingest", "relay_20_held/single", "cpu_us_per_event", most=1.15, over="relay/single"),
    Target(
        "T6", "20 held destinations vs 1, batch of 20, CPU", "ingest", "relay_20_held/batch20", "cpu_us_per_event", most=1.15, over="relay/batch20"
    ),
    Target(
        "T7", "ingest and delivery at 10^6 pending vs 10^4, CPU", "backlog", "pending_1000000", "cpu_us_per_event", most=1.3, over="pending_10000"
    ),
    Target("T7", "outbox append at 10^6 pending vs 10^4, CPU", "outbox", "append/1000000", "cpu_us_per_event", most=1.3, over="append/10000"),
    Target("T7", "outbox settle at 10^6 pending vs 10^4, CPU", "outbox", "settle/1000000", "cpu_us_per_event", most=1.3, over="settle/10000"),
    Target("T8", "delivery vs bare aiohttp client, POST/s", "deliver", "single", "ratio_wall", least=0.6),
    Target("T9", "batched delivery vs one POST, per event and destination, CPU", "deliver", "batch100x5", "ratio_cpu", least=8.0),
    Target("T10", "end to end p99 at half load, ms", "system", "1_destinations", "e2e_p99_ms", most=50.0),
    Target("T10", "answer p99 at half load, ms", "system", "1_destinations", "p99_ms", most=30.0),
    Target("T10", "end to end p99 at half load, 5 destinations, ms", "system", "5_destinations", "e2e_p99_ms", most=50.0),
    Target("T11", "beside a dead destination: CPU", "isolation", "dead", "cpu_us_per_event", most=1.2, over="alone"),
    Target("T11", "beside a dead destination: p95 of the others", "isolation", "dead", "e2e_p95_ms", most=1.2, over="alone"),
    Target("T11", "beside a silent destination: CPU", "isolation", "silent", "cpu_us_per_event", most=1.2, over="alone"),
    Target("T11", "beside a silent destination: p95 of the others", "isolation", "silent", "e2e_p95_ms", most=1.2, over="alone"),
    Target("T12", "memory with 10^6 pending, MB", "backlog", "pending_1000000", "rss_mb", most=250.0),
    Target("T12", "memory at 10^6 pending vs 10^4", "backlog", "pending_1000000", "rss_mb", most=1.2, over="pending_10000"),
    Target("T13", "3 viewers, one stalled: p99 of the answer", "live", "3_viewers", "p99_ms", most=1.5, over="0_viewers"),
    Target("T14", "beside a replay of 100,000 archived events: p95 of live ones", "replay", "replayed", "e2e_p95_ms", most=2.0, over="alone"),
    Target("T13", "20 viewers, one stalled: CPU", "live", "20_viewers", "cpu_us_per_event", most=1.1, over="0_viewers"),
    Target("T15", "pipeline under a plan of 200 rules and ten filters each vs bare", "governance", "plan_and_filters", "ratio_wall", least=0.5),
    Target("T16", "dry run of 200,000 events: memory, MB", "dry-run", "relay_diff", "rss_mb", most=300.0),
)
"""T5 and T9 were judged before there was a product, at 0.7 and 5 us, and revised after it was measured; README says why."""


def versions() -> dict[str, str]:
    """What the figures depend on."""
    names = ("aiohttp", "uvloop", "orjson", "aiosqlite")
    return {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version} | {name: version(name) for name in names}


def write_rows(rows: Sequence[Row], *, quiet: bool = False) -> list[Any]:
    """Print the rows as they come; `quiet`: give back their lines instead."""
    lines = [json.dumps(row) + "\n" for row in rows]
    if quiet:
        return lines
    print("".join(lines), end="", flush=True)
    return list(rows)


def table(rows: Sequence[Row]) -> str:
    """The rows for people."""
    head = ("case", "events/s", "CPU us", "p50 ms", "p99 ms", "e2e p50", "e2e p99", "RSS MB", "ratio to", "CPU x", "wall x")
    fields = ("events_per_s", "cpu_us_per_event", "p50_ms", "p99_ms", "e2e_p50_ms", "e2e_p99_ms", "rss_mb", "ratio_to", "ratio_cpu", "ratio_wall")
    lines = [head, *((f"{row['suite']}/{row['case']}", *(str(row.get(field, "")) for field in fields)) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n" + "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines) + "\n"


def judge(rows: Sequence[Row], targets: Sequence[Target]) -> list[tuple[str, bool]]:
    """A line and a verdict for every target whose suite ran."""
    verdicts = []
    for target in targets:
        value = target.value(rows)
        if value is None:
            continue
        good = (target.least is None or value >= target.least) and (target.most is None or value <= target.most)
        bound = f">= {target.least:.2f}" if target.least is not None else f"<= {target.most:.2f}"
        verdicts.append((f"{target.name:4} {'ok  ' if good else 'MISS'} {value:9.2f}  {bound:10}  {target.what}", good))
    return verdicts
