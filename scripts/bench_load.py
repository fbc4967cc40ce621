"""The other side of a benchmark, each in a process of its own: `load` sends events, `sink` receives deliveries, `client` is a bare aiohttp client.

All are told what to do as JSON in their arguments and answer with JSON lines; `bench_run` starts them. A messageId holds the monotonic
time at which it was due, so that the sink knows how long an event was on its way.
"""

import asyncio
import json
import re
import sys
import time
from array import array
from base64 import b64encode
from collections import deque
from typing import Any

import uvloop

USERS = 1_000
WARM_UP_S = 0.3
_EVENT = (
    b'{"messageId":"%016x-%016x","userId":"user-%06d","anonymousId":"3f0b8a54-9f6e-4c3f-8a2e-5f0c2d1b7a90","type":"track",'
    b'"event":"Order Completed","timestamp":"2026-01-05T10:11:12.345Z","properties":{"order_id":"o-51293","checkout_id":"c-9911",'
    b'"affiliation":"Web Store","total":127.5,"subtotal":110.25,"shipping":9.95,"tax":7.3,"discount":2.5,"coupon":"WINTER","currency":"EUR",'
    b'"products":[{"product_id":"p-1","sku":"45790-32","name":"Monopoly: 3rd Edition","price":19.5,"quantity":1,"category":"Games"},'
    b'{"product_id":"p-2","sku":"46493-32","name":"Uno Card Game","price":3.25,"quantity":2,"category":"Games"}]},'
    b'"context":{"ip":"203.0.113.7","locale":"de-DE","timezone":"Europe/Berlin","library":{"name":"@segment/analytics-node","version":"3.1.0"},'
    b'"page":{"path":"/checkout/done","referrer":"https://shop.example/checkout","title":"Thank you","url":"https://shop.example/checkout/done"},'
    b'"userAgent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"},'
    b'"integrations":{"All":true}}'
)
_SENT = re.compile(rb'"messageId":"[0-9a-f]{16}-([0-9a-f]{16})"')
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def event_json(number: int, due_ns: int) -> bytes:
    """A realistic track call of about 1.1 KB."""
    return _EVENT % (number, due_ns, number % USERS)


def percentile(values: "array[float] | list[float]", share: float) -> float:
    """The value that `share` of all are below; 0.0 when there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def latencies(seconds: "array[float]") -> dict[str, float]:
    """p50, p95 and p99 in milliseconds."""
    return {f"p{int(share * 100)}_ms": round(percentile(seconds, share) * 1000, 2) for share in (0.5, 0.95, 0.99)}


class Framing(asyncio.Protocol):
    """One side of HTTP/1.1: cuts what comes into messages with a Content-Length."""

    def __init__(self) -> None:
        self.transport: Any = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(buffer, 0, end)
            stop = end + 4 + (int(found[1]) if found else 0)
            if len(buffer) < stop:
                break
            message, buffer = buffer[:stop], buffer[stop:]
            self.message(message)
        self._buffer = buffer

    def message(self, message: bytes) -> None:
        """One whole request or answer."""
        raise NotImplementedError


class Sender(Framing):
    """One keep-alive connection of the load; has one request in the air at most."""

    def __init__(self, load: "Load") -> None:
        super().__init__()
        self._load = load
        self._due = 0.0

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost += 1

    def send(self, due: float) -> None:
        """Send the next request; its time counts from `due`."""
        self._due = due
        self.transport.write(self._load.request(due))

    def message(self, message: bytes) -> None:
        self._load.answered(self, time.monotonic() - self._due, message[9:12] == b"200")


class Load:
    """Closed loop (`rate` 0: as fast as the answers come) or open loop (`rate` events a second, whatever the answers do)."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.batch: int = spec["batch"]
        self.rate: float = spec.get("rate", 0)
        self.connections: int = spec.get("connections", 64)
        self.seconds: float = spec["seconds"]
        self._port: int = spec["port"]
        self._number: int = time.time_ns() % 2**44 << 12
        self.lost = 0
        self._errors = 0
        self._took = array("d")
        self._idle: deque[Sender] = deque()
        self._due: deque[float] = deque()
        self._running = True
        credentials = b64encode(f"{spec['key']}:".encode()).decode()
        self._head = (
            f"POST /v1/{'track' if self.batch == 1 else 'batch'} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            f"Authorization: Basic {credentials}\r\nContent-Type: application/json\r\nUser-Agent: bench/1\r\nContent-Length: "
        ).encode()

    def request(self, due: float) -> bytes:
        """The next request, with fresh messageIds."""
        due_ns, first = int(due * 1e9), self._number
        self._number += self.batch
        if self.batch == 1:
            body = event_json(first, due_ns)
        else:
            body = b'{"batch":[%s],"sentAt":"2026-01-05T10:11:13.000Z"}' % b",".join([event_json(first + n, due_ns) for n in range(self.batch)])
        return b"%s%d\r\n\r\n%s" % (self._head, len(body), body)

    def answered(self, sender: Sender, took_s: float, good: bool) -> None:
        self._took.append(took_s)
        self._errors += not good
        if not self._running:
            return
        if not self.rate:
            sender.send(time.monotonic())
        elif self._due:
            sender.send(self._due.popleft())
        else:
            self._idle.append(sender)

    async def run(self) -> dict[str, Any]:
        """All of it; the warm-up counts neither as requests nor as time."""
        loop = asyncio.get_running_loop()
        senders = [(await loop.create_connection(lambda: Sender(self), "127.0.0.1", self._port))[1] for _ in range(self.connections)]
        self._idle.extend(senders)
        if not self.rate:
            for sender in senders:
                sender.send(time.monotonic())
        await self._pass_time(min(WARM_UP_S, self.seconds / 4))
        print(json.dumps({"phase": "warm"}), flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)  # the other side reads its clocks now
        began, self._took, self._errors = time.monotonic(), array("d"), 0
        await self._pass_time(self.seconds)
        took_s, took = time.monotonic() - began, self._took[:]
        self._running = False
        events = len(took) * self.batch
        return {"events": events, "seconds": took_s, "errors": self._errors, "lost": self.lost, "queued": len(self._due), **latencies(took)}

    async def _pass_time(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        if not self.rate:
            await asyncio.sleep(seconds)
            while len(self._took) < self.connections and time.monotonic() < end + 9 * seconds:
                await asyncio.sleep(0.05)  # a busy machine: every connection must have had its turn
            return
        step_s, due = self.batch / self.rate, time.monotonic()
        while due < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            while due <= time.monotonic():
                if self._idle:
                    self._idle.popleft().send(due)
                else:
                    self._due.append(due)
                due += step_s


class Receiver(Framing):
    """One connection of the sink: counts, and answers 200 at once."""

    def __init__(self, counts: "Counts") -> None:
        super().__init__()
        self._counts = counts

    def message(self, message: bytes) -> None:
        now_ns, counts = time.monotonic_ns(), self._counts
        counts.requests += 1
        for sent in () if b'"replay":true' in message else _SENT.findall(message):  # a replayed event was sent long ago
            counts.took.append((now_ns - int(sent, 16)) / 1e9)
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}")


class Silent(asyncio.Protocol):
    """Accepts, reads, never answers."""


class Counts:
    """What one sink has seen since the last report."""

    def __init__(self) -> None:
        self.requests = 0
        self.took = array("d")

    def report(self, *, reset: bool) -> dict[str, Any]:
        told: dict[str, Any] = {"requests": self.requests, "events": len(self.took)}
        if reset:
            told |= latencies(self.took)
            self.requests, self.took = 0, array("d")
        return told


async def serve_sink(spec: dict[str, Any]) -> None:
    """`live` and `silent` receivers. Answers `count` (requests and events so far) and `report` (with latencies, then from zero)."""
    loop, counts = asyncio.get_running_loop(), Counts()
    live = await loop.create_server(lambda: Receiver(counts), "127.0.0.1", 0)
    silent = await loop.create_server(Silent, "127.0.0.1", 0)
    print(json.dumps({"live": live.sockets[0].getsockname()[1], "silent": silent.sockets[0].getsockname()[1]}), flush=True)
    while order := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        print(json.dumps(counts.report(reset=order == "report")), flush=True)


async def post_bare(spec: dict[str, Any]) -> dict[str, Any]:
    """POSTs of the event by an aiohttp client with nothing around it, at a fixed concurrency."""
    import aiohttp
    from yarl import URL

    url, left = URL(f"http://127.0.0.1:{spec['port']}/"), iter(range(spec["count"]))
    headers = {"content-type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def work() -> None:
            for number in left:
                async with session.post(url, data=event_json(number, time.monotonic_ns()), headers=headers) as answer:
                    await answer.read()

        cpu, began = time.process_time(), time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(spec["concurrency"]):
                group.create_task(work())
        return {"events": spec["count"], "seconds": time.monotonic() - began, "cpu_s": time.process_time() - cpu}


async def main() -> None:
    """Run one role."""
    role, spec = sys.argv[1], json.loads(sys.argv[2])
    if role == "sink":
        await serve_sink(spec)
    else:
        print(json.dumps(await (Load(spec).run() if role == "load" else post_bare(spec))), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
