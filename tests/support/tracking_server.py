"""The tracking API on a real listener over the outbox in memory, and a raw client that sends exactly the bytes it is given."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from relay.base.clock import SystemClock
from relay.observe.facts import Fact
from relay.outbox.interface import Pressure
from relay.outbox.memory import MemoryOutbox
from relay.pipeline.compiled import Compiled, CompiledSource, Current
from relay.web.server import Guards, Listener
from relay.web.tracking.ingest import TrackingApi, TrackingLimits
from relay.workspace.model import Source, Workspace

KEYS = ("wk_web", "wk_python_made_up", "wk_node_made_up", "wk_browser_made_up", "wk_jitsu:made_up")


class SteadyOutbox(MemoryOutbox):
    """The outbox in memory, whose pressure a test can set."""

    stated: Pressure | None = None

    def pressure(self) -> Pressure:
        return self.stated or super().pressure()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class TrackingServer:
    """What a test holds in its hands."""

    port: int
    outbox: SteadyOutbox
    current: Current
    facts: list[Fact] = field(default_factory=list)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(self.outbox.disk.log[seq][3]) for seq in sorted(self.outbox.disk.log)]

    @property
    def refused(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for key, count in self.outbox.disk.counts.items():
            if key.stage == "ingest" and key.code in REFUSALS:
                counts[key.code] = counts.get(key.code, 0) + count
        return counts

    async def ask(self, method: str, path: str, body: bytes | Mapping[str, Any] = b"", **headers: str) -> Answer:
        """One request on its own socket; header names with underscores for dashes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = {name.replace("_", "-"): value for name, value in headers.items()}
        lines = {"Host": f"127.0.0.1:{self.port}", "Content-Length": str(len(data))} | lines | {"Connection": "close"}
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
        return await self.send(head.encode("utf-8", "surrogateescape") + data)

    async def post(self, path: str, body: bytes | Mapping[str, Any], **headers: str) -> Answer:
        return await self.ask("POST", path, body, **headers)

    async def send(self, raw: bytes, *, timeout_s: float = 10, eof: bool = False) -> Answer:
        """Send raw bytes and read one answer; status 0 when the server closes without one."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            async with asyncio.timeout(timeout_s):
                writer.write(raw)
                if eof:
                    writer.write_eof()
                return await read_answer(reader)
        except ConnectionError:
            return Answer(0, {}, b"")
        finally:
            writer.close()


REFUSALS = frozenset(
    {
        "unknown_type", "no_user_anon_id", "id_required", "id_not_string", "id_too_long", "event_not_defined", "event_not_string",
        "properties_not_object", "traits_not_object", "context_not_object", "integrations_not_object", "event_too_large", "too_deep",
        "bad_request", "source_disabled",
    }
)  # fmt: skip


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return Answer(0, {}, b"")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    status = int(first.split(" ")[1])
    if status == 100:
        return await read_answer(reader)
    try:
        return Answer(status, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
    except asyncio.IncompleteReadError as error:  # the answer to HEAD names a length and has no body
        return Answer(status, headers, error.partial)


def workspace_with(*sources: Source) -> Current:
    workspace = Workspace(1, sources, ())
    compiled = {source.source_id: CompiledSource(source) for source in sources}
    by_key = {key: compiled[source.source_id] for source in sources for key in source.write_keys}
    return Current(Compiled(1, workspace, {}, compiled, by_key, {}))


@asynccontextmanager
async def tracking_server(
    limits: TrackingLimits | None = None, guards: Guards | None = None, *, sources: tuple[Source, ...] = ()
) -> AsyncIterator[TrackingServer]:
    """A running tracking API: source `web` with KEYS, source `off` (key `wk_off`, switched off)."""
    clock = SystemClock()
    outbox = SteadyOutbox(clock)
    current = workspace_with(Source("web", "web", "Web", KEYS), Source("off", "off", "Off", ("wk_off",), enabled=False), *sources)
    facts: list[Fact] = []
    api = TrackingApi(current, outbox, limits or TrackingLimits(), clock, facts.append)
    listener = Listener(api.app(), "127.0.0.1:0", guards or replace(Guards(), head_timeout_s=5), error_headers=api.cors.headers)
    async with listener:
        yield TrackingServer(listener.port, outbox, current, facts)
    await outbox.close()
