"""The suite `sinks`: what waits in the log goes into files of this machine, and into an S3 bucket of a server beside it (moto's)."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable

from bench_run import END_S, Bench, Helper, Sample, cpu_s

WAIT_S = 180.0
KEYS = 'access_key_id = "bench", secret_access_key = "bench"'
Bases = dict[str, str]


class Store:
    """moto's server on a free port, with one bucket; its pid is only for the end."""

    def __init__(self, port: int) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        self._process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid, self.port = self._process.pid, port
        _wait(self._made)

    def _made(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("PUT", "/events")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(END_S)


def sinks(bench: Bench) -> Bases:
    """Events that wait, written by one sink at a time; CPU is relay's, which for S3 shares the machine with the store."""
    store = Store(_free_port())
    bench.adopt(store)  # type: ignore[arg-type]
    count = max(5_000, int(10_000 * bench.seconds))
    kinds = {f"archive_{kind}": _archive(f"archive_{kind}", kind) for kind in ("gzip", "zstd", "none")} | {"s3_moto": _s3("s3_moto", store.port)}
    relays = {name: bench.relay(name, [text])[0] for name, text in kinds.items()}
    for _ in range(bench.repeats):
        for name, relay in relays.items():
            bench.add(name, _drained(relay, name, count))
    return dict.fromkeys(("archive_zstd", "archive_none", "s3_moto"), "archive_gzip")


def _drained(relay: Helper, slug: str, count: int) -> Sample:
    relay.order("hold", slugs=[slug])
    relay.order("append", source="app", count=count)
    time.sleep(0.5)
    before, began = cpu_s(relay.pid), time.monotonic()
    relay.order("resume", slugs=[slug])
    _wait(lambda: relay.order("pending", slug=slug) == 0)
    seconds = time.monotonic() - began
    return Sample(count / seconds, (cpu_s(relay.pid) - before) * 1e6 / count)


def _archive(slug: str, compression: str) -> str:
    return f'[[destination]]\nslug = "{slug}"\ntype = "archive"\nsources = ["app"]\nsettings = {{ compression = "{compression}" }}\n'


def _s3(slug: str, port: int) -> str:
    settings = f'bucket = "events", endpoint_url = "http://127.0.0.1:{port}", flush_seconds = 1, {KEYS}'
    return f'[[destination]]\nslug = "{slug}"\ntype = "s3"\nsources = ["app"]\nallow_private = ["127.0.0.1:*"]\nsettings = {{ {settings} }}\n'


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


def _wait(done: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("what was to be written was not")
        time.sleep(0.05)
