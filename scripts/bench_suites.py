"""The suites: what each compares, in alternating rounds, and which case is the base of which."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench_dry_run import config, plan
from bench_governance import CASES
from bench_run import HERE, Bench, Helper, Sample, cpu_s, rss_mb, webhook
from bench_sinks import sinks

BATCHES = (1, 20, 100)
CEILING = ("hello", "parse", "durable_full", "durable_normal")
DEAD_PORT = 9
"""Nobody listens at the discard port: the connection is refused."""
WAIT_S = 120.0
Bases = dict[str, str]


def ceiling(bench: Bench) -> Bases:
    """What is possible: aiohttp alone, with JSON, with a durable append."""
    servers = {kind: bench.start("bench_servers", kind, folder=str(bench.folder)) for kind in CEILING}
    ports = {kind: int(server.read()["port"]) for kind, server in servers.items()}
    for _ in range(bench.repeats):
        for batch in BATCHES:
            for kind, server in servers.items():
                bench.load(_case(kind, batch), server, ports[kind], batch=batch)
    bases: Bases = {}
    for batch in BATCHES:
        base = "hello" if batch == 1 else "parse"
        bases |= {_case(kind, batch): _case(base, batch) for kind in ("parse", "durable_full") if kind != base}
        bases[_case("durable_normal", batch)] = _case("durable_full", batch)
    return bases


def ingest(bench: Bench) -> Bases:
    """relay with one held destination, and with twenty, against the ceiling of the same rounds."""
    servers = {kind: bench.start("bench_servers", kind, folder=str(bench.folder)) for kind in CEILING[:3]}
    ports = {kind: int(server.read()["port"]) for kind, server in servers.items()}
    for name, count in (("relay", 1), ("relay_20_held", 20)):
        slugs = [f"d{number}" for number in range(count)]
        servers[name], ports[name] = bench.relay(name, [webhook(slug, DEAD_PORT) for slug in slugs])
        servers[name].order("hold", slugs=slugs)
    for _ in range(bench.repeats):
        for batch in BATCHES:
            for kind, server in servers.items():
                bench.load(_case(kind, batch), server, ports[kind], batch=batch)
    bases = {_case("relay", batch): _case("durable_full", batch) for batch in BATCHES}
    bases |= {_case("relay_20_held", batch): _case("relay", batch) for batch in BATCHES}
    return bases | {_case("durable_full", batch): _case("hello" if batch == 1 else "parse", batch) for batch in BATCHES}


def outbox(bench: Bench) -> Bases:
    """Append and settle while 10,000 to 1,000,000 events wait at another consumer."""
    counts = [10_000, 100_000, 1_000_000]
    for _ in range(min(bench.repeats, 2)):
        folder = bench.folder / f"outbox{time.monotonic_ns()}"
        folder.mkdir()
        helper = bench.start("bench_servers", "outbox", folder=str(folder), pending=counts, groups=150)
        while "case" in (told := helper.read()):
            bench.add(told["case"], Sample(told["events"] / told["seconds"], told["cpu_s"] * 1e6 / told["events"]))
        bench.stop(helper)
    return {f"{what}/{count}": f"{what}/{counts[0]}" for what in ("append", "settle") for count in counts[1:]}


def deliver(bench: Bench) -> Bases:
    """A bare aiohttp client against an actor at the same concurrency; actors with 100 events in a request, one and five of them."""
    sink, port = _sink(bench)
    count = max(2_000, int(2_000 * bench.seconds))
    more = "concurrency = 16\n"
    slugs, relays = {}, {}
    for name, number, batch in (("single", 1, 0), ("batch100", 1, 100), ("batch100x5", 5, 100)):
        order = 'order = "none"\n' if batch else ""
        slugs[name] = [f"{name}-{each}" for each in range(number)]
        relays[name] = bench.relay(name, [webhook(slug, port, batch=batch, more=more + order) for slug in slugs[name]])[0]
    for _ in range(bench.repeats):
        client = bench.start("bench_load", "client", port=port, count=count, concurrency=16)
        told = client.read()
        bench.stop(client)
        bench.add("bare", Sample(count / told["seconds"], told["cpu_s"] * 1e6 / count))
        sink.ask("report")
        for name, relay in relays.items():
            sent = count * len(slugs[name])
            relay.order("hold", slugs=slugs[name])
            relay.order("append", source="app", count=count)
            time.sleep(0.5)
            before, began = cpu_s(relay.pid), time.monotonic()
            relay.order("resume", slugs=slugs[name])
            _wait(lambda sent=sent: sink.ask("count")["events"] >= sent)  # type: ignore[misc]
            seconds = time.monotonic() - began
            time.sleep(0.3)
            requests = sink.ask("report")["requests"]
            bench.add(name, Sample(sent / seconds, (cpu_s(relay.pid) - before) * 1e6 / sent, {"requests": float(requests)}))
    return dict.fromkeys(slugs, "bare")


def system(bench: Bench) -> Bases:
    """Events in by HTTP, deliveries out by HTTP, at half of what a core can do: how long an event is on its way."""
    sink, port = _sink(bench)
    for count in (1, 5, 20):
        relay, address = bench.relay(f"system{count}", [webhook(f"d{number}", port) for number in range(count)])
        rate = 600 / count
        for _ in range(2):  # the cost falls as groups grow, so the second guess is better
            used = _probe(bench, relay, address, rate)
            rate = 0.5e6 / used
        for _ in range(bench.repeats):
            sink.ask("report")
            sample = bench.load(f"{count}_destinations", relay, address, rate=rate)
            _drain(sink, sample, bench.seconds * rate * count)
        bench.stop(relay)
    return {}


def isolation(bench: Bench) -> Bases:
    """Four destinations that work, alone, beside one that refuses connections, and beside one that never answers."""
    sink, port = _sink(bench)
    live = [webhook(f"d{number}", port) for number in range(4)]
    beside = {"alone": live, "dead": [*live, webhook("dead", DEAD_PORT)], "silent": [*live, webhook("silent", sink.silent)]}
    relays = {name: bench.relay(name, tables) for name, tables in beside.items()}
    for _ in range(bench.repeats):
        for name, (relay, address) in relays.items():
            sink.ask("report")
            sample = bench.load(name, relay, address, rate=300)
            _drain(sink, sample, 0)
    return {"dead": "alone", "silent": "alone"}


def backlog(bench: Bench) -> Bases:
    """Ingest and live delivery while 10,000, then 1,000,000 events of another source wait for a dead destination."""
    sink, port = _sink(bench)
    relay, address = bench.relay("backlog", [webhook("live", port), webhook("dead", DEAD_PORT, source="other")])
    filled = 0
    for pending in (10_000, 1_000_000):
        relay.order("append", source="other", count=pending - filled)
        filled = pending
        _wait(lambda: relay.order("pending", slug="live") < 1_000)
        time.sleep(2)
        for _ in range(bench.repeats):
            sink.ask("report")
            sample = bench.load(f"pending_{pending}", relay, address, rate=500)
            _drain(sink, sample, 0)
            sample.more["rss_mb"] = rss_mb(relay.pid)
        waiting = relay.order("pending", slug="dead")
        if waiting < pending:
            raise RuntimeError(f"{waiting} events wait, {pending} should")
    return {"pending_1000000": "pending_10000"}


ARCHIVED = 100_000
REPLAY_EVENTS_A_SECOND = 200.0


def replay(bench: Bench) -> Bases:
    """Live events into a webhook, alone and while 100,000 archived ones are sent to it again."""
    sink, port = _sink(bench)
    archive = '[[destination]]\nslug = "archive"\ntype = "archive"\nsources = ["app"]\n'
    relay, address = bench.relay("replay", [webhook("live", port), archive])
    relay.order("append", source="app", count=ARCHIVED)
    _wait(lambda: not (relay.order("pending", slug="archive") or relay.order("pending", slug="live")))
    for _ in range(bench.repeats):
        sink.ask("report")
        sample = bench.load("alone", relay, address, rate=REPLAY_EVENTS_A_SECOND)
        _drain(sink, sample, 0)
        job = relay.order("replay", slug="live", archive="archive", rate=0)
        time.sleep(1)
        sink.ask("report")
        sample = bench.load("replayed", relay, address, rate=REPLAY_EVENTS_A_SECOND)
        told = sink.ask("report")
        sample.more |= {f"e2e_{name}": told[name] for name in ("p50_ms", "p95_ms", "p99_ms")}
        if relay.order("finished", job=job):
            raise RuntimeError("the replay ended before the measurement")
        _wait(lambda job=job: relay.order("finished", job=job))  # type: ignore[misc]
    return {"replayed": "alone"}


VIEWERS = (1, 3, 20)
LIVE_RATE = 1_000.0


def live(bench: Bench) -> Bases:
    """Ingest and delivery without viewers, and beside 1, 3 and 20 of them, one of the 3 and of the 20 stalled."""
    sink, port = _sink(bench)
    relays = {name: bench.relay(name, [webhook("live", port)]) for name in ("alone", "watched")}
    where = relays["watched"][0].ask(json.dumps({"do": "where"}))
    for _ in range(bench.repeats):
        for count in (0, *VIEWERS):
            relay, address = relays["watched" if count else "alone"]
            viewers = bench.start("bench_viewers", "viewers", **where, count=count, stalled=int(count > 1)) if count else None
            if viewers:
                viewers.read()
            sink.ask("report")
            sample = bench.load(f"{count}_viewers", relay, address, rate=LIVE_RATE)
            _drain(sink, sample, 0)
            if viewers:
                time.sleep(1.2)
                told = viewers.ask("")
                bench.stop(viewers)
                if told["doubles"] or told["missing"] or told["closed"]:
                    raise RuntimeError(f"live/{count}_viewers: {told}")
                sample.more |= {name: float(told[name]) for name in ("rows", "patches", "dropped", "dropped_stalled")}
    return {f"{count}_viewers": "0_viewers" for count in VIEWERS}


MAPPED = ("webhook", "google-analytics-4", "mixpanel")


def mapping(bench: Bench) -> Bases:
    """Events through trigger, mapping and action, with no network: the cases of three destinations with all their actions."""
    helpers = {slug: bench.start("bench_mapping", "mapping", slug=slug) for slug in MAPPED}
    for number in range(bench.repeats + 1):
        for slug, helper in helpers.items():
            told = helper.ask(str(bench.seconds if number else 0.2))
            if number:
                more = {"requests_per_event": told["requests"] / told["events"]}
                bench.add(slug, Sample(told["events"] / told["seconds"], told["cpu_s"] * 1e6 / told["events"], more))
    return {}


STORED = 200_000


def dry_run(bench: Bench) -> Bases:
    """`relay diff` over 200,000 stored events with a changed filter, mapping and plan; its counts must be those of running everything twice."""
    folder = bench.folder
    for name, lowest in (("now.json", 0), ("new.json", 10)):
        (folder / name).write_text(plan(lowest))
    (folder / "now.toml").write_text(config("US", "total", "now.json"))
    (folder / "new.toml").write_text(config("FR", "amount", "new.json"))
    bench.start("bench_dry_run", "fill", folder=str(folder), count=STORED).read()
    for _ in range(min(bench.repeats, 3)):
        bench.add("relay_diff", _diff(folder))
    naive = bench.start("bench_dry_run", "naive", folder=str(folder)).read()
    bench.add("naive", Sample(STORED / naive["seconds"], naive["cpu_s"] * 1e6 / STORED))
    if naive["counts"] != naive["told"]:
        raise RuntimeError(f"dry-run: relay diff tells {naive['told']}, a recomputation gives {naive['counts']}")
    return {"relay_diff": "naive"}


def _diff(folder: Path) -> Sample:
    """One run of the command; what it tells stands in `told.json`."""
    command = [sys.executable, "-m", "relay", "diff", "--config", "new.toml", "--data", "data", "--since", "1d", "--json", "--quiet"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RELAY")} | {"PYTHONPATH": str(HERE.parent)}
    began = time.monotonic()
    with (folder / "told.json").open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, env=environment)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 1:
        raise RuntimeError(f"relay diff ended with {process.returncode}")
    seconds, cpu = time.monotonic() - began, used.ru_utime + used.ru_stime
    return Sample(STORED / seconds, cpu * 1e6 / STORED, {"rss_mb": used.ru_maxrss / 1e3})


def governance(bench: Bench) -> Bases:
    """Events from intake to mapping, bare and under plan, filters, transformations and privacy; with no network."""
    helpers = {case: bench.start("bench_governance", "governance", case=case, folder=str(bench.folder)) for case in CASES}
    for number in range(bench.repeats + 1):
        for case, helper in helpers.items():
            told = helper.ask(str(bench.seconds / 3 if number else 0.2))
            if number:
                bench.add(case, Sample(told["events"] / told["cpu_s"], told["cpu_s"] * 1e6 / told["events"]))
    return dict.fromkeys(CASES[1:], "bare")


SUITES: dict[str, Callable[[Bench], Bases]] = {
    "ceiling": ceiling,
    "ingest": ingest,
    "outbox": outbox,
    "deliver": deliver,
    "system": system,
    "isolation": isolation,
    "backlog": backlog,
    "live": live,
    "replay": replay,
    "mapping": mapping,
    "governance": governance,
    "dry-run": dry_run,
    "sinks": sinks,
}


def _case(kind: str, batch: int) -> str:
    return f"{kind}/{'single' if batch == 1 else f'batch{batch}'}"


class _Sink(Helper):
    """The receiver; `silent` is its port that never answers."""

    silent: int


def _sink(bench: Bench) -> tuple[_Sink, int]:
    sink = _Sink("bench_load", "sink")
    bench.adopt(sink)
    ports = sink.read()
    sink.silent = ports["silent"]
    return sink, int(ports["live"])


def _probe(bench: Bench, relay: Helper, address: int, rate: float) -> float:
    """CPU per event at a rate, outside of the results."""
    sample = bench.load("probe", relay, address, rate=rate, seconds=min(2.0, bench.seconds))
    del bench.samples["probe"]
    return sample.cpu_us


def _drain(sink: Helper, sample: Sample, expected: float) -> None:
    """Wait until what is on its way has come, and keep how long the deliveries took."""
    seen = -1
    while (now := sink.ask("count")["events"]) != seen:
        seen = now
        time.sleep(0.3)
    told = sink.ask("report")
    sample.more |= {f"e2e_{name}": told[name] for name in ("p50_ms", "p95_ms", "p99_ms")}
    sample.more["delivered"] = told["events"]
    if told["events"] < expected * 0.9:
        raise RuntimeError(f"{told['events']} deliveries came, {expected:.0f} were expected")


def _wait(done: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("what was to be delivered did not come")
        time.sleep(0.02)
