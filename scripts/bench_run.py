"""Starts what a benchmark needs, reads the kernel's clocks, and ends all of it again: `Bench` owns the processes, the folders and the results."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")
KEY = "wk_bench"
END_S = 30.0
SETTLE_S = 0.15
"""The work that follows the last answer (router, settle) belongs to the events as well."""


def cpu_s(pid: int) -> float:
    """User and system time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Helper:
    """A process of `bench_load` or `bench_servers` that talks in JSON lines."""

    def __init__(self, module: str, role: str, **spec: Any) -> None:
        command = [sys.executable, str(HERE / f"{module}.py"), role, json.dumps(spec)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RELAY")}
        environment["PYTHONPATH"] = str(HERE.parent)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True)
        self.role, self.pid = role, self._process.pid

    def read(self) -> dict[str, Any]:
        """The next answer; what a server prints that is no JSON is passed over."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(("{", "true", "false")) or line.strip().isdigit():
                value = json.loads(line)
                return value if isinstance(value, dict) else {"value": value}
        raise RuntimeError(f"{self.role} ended with {self._process.wait(END_S)}")

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def ask(self, line: str) -> dict[str, Any]:
        """One order and its answer."""
        self.tell(line)
        return self.read()

    def order(self, do: str, **arguments: Any) -> Any:
        """One order to relay."""
        return self.ask(json.dumps({"do": do, **arguments}))["value"]

    def end(self) -> None:
        """Ask to stop, then insist."""
        try:
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process.wait(END_S)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@dataclass
class Sample:
    """One round of one case."""

    rate: float
    cpu_us: float
    more: dict[str, float] = field(default_factory=dict)


class Bench:
    """The processes of one suite and the samples of its cases. `with Bench(...)`: nothing is left behind."""

    def __init__(self, suite: str, repeats: int, seconds: float) -> None:
        self.suite, self.repeats, self.seconds = suite, repeats, seconds
        self.samples: dict[str, list[Sample]] = {}
        self._helpers: list[Helper] = []
        self.folder = Path()

    def __enter__(self) -> "Bench":
        self.folder = Path(tempfile.mkdtemp(prefix="relay-bench-"))
        return self

    def __exit__(self, *_: object) -> None:
        for helper in reversed(self._helpers):
            helper.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, module: str, role: str, **spec: Any) -> Helper:
        helper = Helper(module, role, **spec)
        self.adopt(helper)
        return helper

    def adopt(self, helper: Helper) -> None:
        """End it with the suite."""
        self._helpers.append(helper)

    def stop(self, helper: Helper) -> None:
        """End one process before the suite does."""
        self._helpers.remove(helper)
        helper.end()

    def relay(self, name: str, destinations: Iterable[str], *, settings: str = "") -> tuple[Helper, int]:
        """A relay with two sources, `app` and `other`, and these `[[destination]]` tables; returns it and its port."""
        folder = self.folder / name
        folder.mkdir()
        config = folder / "relay.toml"
        head = '[server]\nlisten = "127.0.0.1:0"\n[ui]\nlisten = "127.0.0.1:0"\n[log]\nlevel = "error"\n' + settings
        sources = f'\n[[source]]\nslug = "app"\nwrite_key = "{KEY}"\n[[source]]\nslug = "other"\nwrite_key = "wk_other"\n'
        config.write_text(head + sources + "\n".join(destinations))
        helper = self.start("bench_servers", "relay", config=str(config), data=str(folder / "data"))
        return helper, int(helper.read()["port"])

    def load(self, case: str, server: Helper, port: int, *, batch: int = 1, rate: float = 0.0, seconds: float | None = None) -> Sample:
        """Send events to `port` for a while; CPU is that of `server`."""
        spec = {"port": port, "batch": batch, "rate": rate, "seconds": seconds or self.seconds, "key": KEY}
        load = self.start("bench_load", "load", **spec)
        load.read()
        before = cpu_s(server.pid)
        load.tell("")
        told = load.read()
        time.sleep(SETTLE_S)
        used = cpu_s(server.pid) - before
        self.stop(load)
        if told["errors"] or told["lost"] or not told["events"]:
            raise RuntimeError(f"{self.suite}/{case}: {told['errors']} answers were no 200, {told['lost']} connections were lost")
        more = {name: told[name] for name in ("p50_ms", "p95_ms", "p99_ms")} | {"queued": told["queued"]}
        return self.add(case, Sample(told["events"] / told["seconds"], used * 1e6 / told["events"], more))

    def add(self, case: str, sample: Sample) -> Sample:
        self.samples.setdefault(case, []).append(sample)
        return sample

    def rows(self, bases: dict[str, str], versions: dict[str, str]) -> list[dict[str, Any]]:
        """One row per case: medians, and the ratio to its base in the same rounds (more than 1 is better)."""
        rows = []
        for case, samples in self.samples.items():
            row: dict[str, Any] = {
                "suite": self.suite,
                "case": case,
                "events_per_s": round(_median(samples, "rate")),
                "cpu_us_per_event": round(_median(samples, "cpu_us"), 2),
            }
            for name in samples[0].more:
                row[name] = round(statistics.median(sample.more[name] for sample in samples), 2)
            if (base := bases.get(case)) is not None and base in self.samples:
                pairs = list(zip(self.samples[base], samples, strict=False))
                row["ratio_to"] = f"{self.suite}/{base}"
                row["ratio_cpu"] = round(statistics.median(one.cpu_us / max(other.cpu_us, 0.01) for one, other in pairs), 3)
                row["ratio_wall"] = round(statistics.median(other.rate / one.rate for one, other in pairs), 3)
            rates = [sample.rate for sample in samples]
            row |= {"repeats": len(samples), "spread": [round(min(rates)), round(max(rates))], "loadavg": os.getloadavg()[0], "versions": versions}
            rows.append(row)
        return rows


def _median(samples: list[Sample], name: str) -> float:
    return float(statistics.median(getattr(sample, name) for sample in samples))


def webhook(slug: str, port: int, *, source: str = "app", batch: int = 0, more: str = "") -> str:
    """A `[[destination]]` table that posts to a port of this machine; `batch`: events in one request."""
    text = (
        f'[[destination]]\nslug = "{slug}"\ntype = "webhook"\nsources = ["{source}"]\nallow_private = ["127.0.0.1:*"]\n{more}'
        f'settings = {{ url = "http://127.0.0.1:{port}/" }}\n'
    )
    if batch:
        trigger = 'type = \\"track\\"'
        text += (
            f'[[destination.mapping]]\nname = "all"\naction = "send"\ntrigger = "{trigger}"\n'
            f"fields = {{ enable_batching = true, batch_size = {batch} }}\n"
        )
    return text
