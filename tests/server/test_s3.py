"""The S3 sink against a real HTTP server: exact contents, names that repeat, failures told apart, and SIGKILL in the middle."""

import asyncio
import gzip
import json
import zlib
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from relay.base.clock import SystemClock
from relay.base.secret import Secret
from relay.destinations.s3 import DEFINITION
from relay.errors import Misconfigured, Retryable
from relay.kit.sink import Archive, Sink, SinkContext, Span
from relay.net.dial import dial
from relay.net.guard import parse_allow
from tests.server.test_archive_reading import HOUR_MS, HOUR_S, START_S, some
from tests.support.app import running, source, table
from tests.support.moto import BUCKET, KEY, SECRET, Moto, moto
from tests.support.process import RelayProcess
from tests.support.waiting import eventually

FOLDER = "source=web/date=2025-11-25/hour=13"
BASIC = {"authorization": f"Basic {b64encode(b'wk_web:').decode()}"}
START_MS = int(START_S * 1000)


@pytest.fixture
async def store() -> AsyncIterator[Moto]:
    async with moto() as server:
        yield server


def context(tmp_path: Path, port: int) -> SinkContext:
    async def connect(host: str, where: int) -> Any:
        return await dial(host, where, parse_allow((f"127.0.0.1:{port}",)))

    return SinkContext(SystemClock(), tmp_path, lambda source_id: source_id.removeprefix("id-"), connect)


def settings(url: str, **more: Any) -> dict[str, Any]:
    defaults = {setting.name: setting.default for setting in DEFINITION.settings if setting.default is not None}
    return defaults | {"bucket": BUCKET, "endpointUrl": url, "accessKeyId": KEY, "secretAccessKey": Secret(SECRET)} | more


def open_sink(tmp_path: Path, server: Moto, **more: Any) -> Sink:
    assert DEFINITION.open_sink is not None
    return DEFINITION.open_sink(settings(server.url, **more), context(tmp_path, server.port))


def open_archive(tmp_path: Path, server: Moto, **more: Any) -> Archive:
    assert DEFINITION.open_archive is not None
    return DEFINITION.open_archive(settings(server.url, **more), context(tmp_path, server.port))


async def written(server: Moto) -> list[str]:
    """The message ids in all objects, as any gzip reader finds them."""
    found = []
    for key in await server.keys():
        data, _ = await server.get(key)
        found += [json.loads(line)["messageId"] for line in gzip.decompress(data).splitlines()]
    return found


async def test_a_batch_becomes_an_object_for_each_source_and_hour(store: Moto, tmp_path: Path) -> None:
    sink = open_sink(tmp_path, store, prefix="/relay/prod/")
    events = [*some(3, 1), *some(2, source="ios"), *some(4, at_ms=START_MS + HOUR_MS)]
    assert await sink.write(events) == [None] * 4
    keys = await store.keys()
    assert [key.rpartition(".ndjson")[0].rpartition("-")[0] for key in keys] == [
        "relay/prod/source=ios/date=2025-11-25/hour=13/2-2.1",
        "relay/prod/source=web/date=2025-11-25/hour=13/1-3.2",
        "relay/prod/source=web/date=2025-11-25/hour=14/4-4.1",
    ]
    data, told = await store.get(keys[1])
    assert data[4:8] == bytes(4), "mtime is 0"
    assert gzip.decompress(data) == b"".join(event.body + b"\n" for _, event in some(1, 3))
    assert told["ContentType"] == "application/x-ndjson"
    assert not told.get("ContentEncoding")
    await sink.close()
    await sink.close()


async def test_the_same_events_overwrite_themselves_and_others_do_not(store: Moto, tmp_path: Path) -> None:
    sink = open_sink(tmp_path, store)
    await sink.write(some(1, 2, 3))
    before = await store.keys()
    await sink.write(some(1, 2, 3))
    assert await store.keys() == before
    await sink.write(some(1, 3))
    assert len(await store.keys()) == 2
    await sink.close()


async def test_after_a_crash_what_was_written_is_left_out_however_the_batches_fall(store: Moto, tmp_path: Path) -> None:
    crashed = open_sink(tmp_path, store)
    await crashed.write(some(*range(1, 6)))
    await crashed.write(some(*range(6, 11)))
    await crashed.close()
    again = open_sink(tmp_path, store)
    for batch in (range(1, 4), range(4, 9), range(9, 15)):
        assert await again.write(some(*batch)) == [None] * len(batch)
    assert Counter(await written(store)) == Counter({f"m{number}": 1 for number in range(1, 15)})
    await again.write(some(*range(1, 15)))
    assert Counter(await written(store)) == Counter({f"m{number}": 2 for number in range(1, 15)}), "a replay is written again"
    await again.close()


async def test_it_is_read_back_in_order_with_bounds(store: Moto, tmp_path: Path) -> None:
    sink = open_sink(tmp_path, store, prefix="p", compression="zstd")
    await sink.write([*some(1, 5, 9), *some(2, source="ios")])
    await sink.write([*some(3, 7), *some(11, at_ms=START_MS + HOUR_MS), *some(12, at_ms=START_MS + 30 * HOUR_MS)])
    archive = open_archive(tmp_path, store, prefix="p")

    async def numbers(span: Span) -> list[int]:
        return [seq async for page in archive.read(span) for seq, event in page.events if event.message_id == f"m{seq}"]

    both = ("id-web", "id-ios")
    assert await numbers(Span(both)) == [1, 2, 3, 5, 7, 9, 11, 12]
    assert await numbers(Span(("id-ios",))) == [2]
    assert await numbers(Span(both, START_S + HOUR_S)) == [11, 12]
    assert await numbers(Span(both, 0, START_S + HOUR_S)) == [1, 2, 3, 5, 7, 9]
    pages = [page async for page in archive.read(Span(both))]
    assert await numbers(Span(both, after=pages[0].mark)) == [11, 12]
    told = await archive.count(Span(both))
    assert (told.events, told.files, told.exact) == (8, 5, True)
    assert (await archive.count(Span(both, START_S + 1))).exact is False
    await archive.close()
    await sink.close()


# failures


@asynccontextmanager
async def answering(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[int]:
    """The port of a server that answers everything alike; like a store it says 100 to who asks whether it may send a body."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "code", "kind", "told"),
    [
        (503, "SlowDown", Retryable, "503"),
        (500, "InternalError", Retryable, "500"),
        (429, "TooManyRequests", Retryable, "429"),
        (400, "RequestTimeout", Retryable, "400"),
        (403, "AccessDenied", Misconfigured, "credentials"),
        (403, "InvalidAccessKeyId", Misconfigured, "credentials"),
        (404, "NoSuchBucket", Misconfigured, "INVALID_SETTINGS"),
        (400, "AuthorizationHeaderMalformed", Misconfigured, "INVALID_SETTINGS"),
    ],
)
async def test_an_answer_means_another_try_or_wrong_settings(tmp_path: Path, status: int, code: str, kind: type, told: str) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":  # the look at what an earlier run wrote
            return web.Response(body=b'<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>')
        await request.read()
        body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>no</Message></Error>'
        return web.Response(status=status, body=body.encode(), headers={"retry-after": "7"})

    async with answering(refuse) as port:
        assert DEFINITION.open_sink is not None
        sink = DEFINITION.open_sink(settings(f"http://127.0.0.1:{port}"), context(tmp_path, port))
        first, second = await sink.write(some(1, 2))
        assert type(first) is kind
        assert first is second
        assert (first.code, first.status) == (told, status)
        if kind is Retryable:
            assert first.retry_after_s == 7
        await sink.close()


async def test_a_redirect_in_circles_is_a_wrong_setting(tmp_path: Path) -> None:
    async def redirect(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(status=301, body=b"<Error><Code>PermanentRedirect</Code></Error>", headers={"x-amz-bucket-region": "eu-west-1"})

    async with answering(redirect) as port:
        assert DEFINITION.open_sink is not None
        sink = DEFINITION.open_sink(settings(f"http://127.0.0.1:{port}"), context(tmp_path, port))
        assert [type(result) for result in await sink.write(some(1))] == [Misconfigured]
        await sink.close()


async def test_a_store_that_cannot_be_reached_is_tried_again_and_a_refused_address_holds(tmp_path: Path, store: Moto) -> None:
    assert DEFINITION.open_sink is not None
    closed = DEFINITION.open_sink(settings("http://127.0.0.1:9"), context(tmp_path, 9))
    assert [type(result) for result in await closed.write(some(1))] == [Retryable]
    refused = DEFINITION.open_sink(settings(store.url), SinkContext(SystemClock(), tmp_path, str, context(tmp_path, 1).connect))
    (result,) = await refused.write(some(1))
    assert isinstance(result, Misconfigured)
    assert result.code == "blocked_address"
    missing = open_sink(tmp_path, store, bucket="nobody")
    assert [type(result) for result in await missing.write(some(1))] == [Misconfigured]
    for sink in (closed, refused, missing):
        await sink.close()


async def test_a_key_that_may_only_write_writes(tmp_path: Path) -> None:
    puts = []

    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.method == "GET":
            return web.Response(status=403, body=b"<Error><Code>AccessDenied</Code></Error>")
        puts.append((request.headers["x-amz-checksum-crc32"], b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()))
        return web.Response()

    async with answering(answer) as port:
        assert DEFINITION.open_sink is not None
        sink = DEFINITION.open_sink(settings(f"http://127.0.0.1:{port}"), context(tmp_path, port))
        assert await sink.write(some(1, 2)) == [None, None]
        ((told, real),) = puts
        assert told == real
        await sink.close()


def test_the_definition_says_what_is_wrong_with_its_settings() -> None:
    assert DEFINITION.check is not None
    assert DEFINITION.check(settings("https://s3.example.com")) == []
    wrong = settings("ftp://x", accessKeyId="", kmsKeyId="k", flushBytes=0, flushSeconds=99_999)
    assert [problem.message.split(" ")[0].rstrip(":") for problem in DEFINITION.check(wrong)] == [
        "access_key_id",
        "kms_key_id",
        "endpoint_url",
        "flushBytes",
        "flushSeconds",
    ]


# the whole of relay


def destination(server: Moto, **more: Any) -> str:
    values = {"slug": "cold", "type": "s3", "allow_private": [f"127.0.0.1:{server.port}"], "first_delay_s": 0.1, "max_delay_s": 0.5}
    return table("destination", values | {"settings": server.settings | more})


async def test_events_wait_until_the_batch_is_due_and_count_when_the_store_has_them(store: Moto, tmp_path: Path) -> None:
    async with running(source() + destination(store, flush_seconds=1), tmp_path) as relay:
        sent = await relay.track_many(30)
        assert (await relay.balance("cold")).doors.get("delivered", 0) == 0
        assert await store.keys() == []
        await relay.settled("cold")
        assert sorted(await written(store)) == sorted(sent)
        assert len(await store.keys()) == 1


async def test_a_batch_that_would_wait_long_goes_when_the_scan_can_go_no_further(store: Moto, tmp_path: Path) -> None:
    # The destination is connected to the rarer source: its batch is never full, and the log runs away from it.
    text = source() + source("busy") + destination(store, flush_seconds=3600).replace('type = "s3"', 'type = "s3"\nsources = ["web"]')
    async with running(text, tmp_path) as relay:
        sent = [await relay.track("u")]
        for _ in range(3):
            assert await relay.send([relay.event("u", n=n) for n in range(1_500)], source="busy") == 200
        await eventually(lambda: store.keys(), 20)
        assert await written(store) == sent


@pytest.mark.slow
async def test_kill_9_in_the_middle_leaves_exactly_the_events_that_were_sent(store: Moto, tmp_path: Path) -> None:
    text = '[log]\nlevel = "warning"\n' + source() + destination(store, flush_seconds=1, flush_bytes=40_000)
    accepted: set[str] = set()
    async with RelayProcess(tmp_path, text) as relay, aiohttp.ClientSession() as session:
        for life in range(4):
            for batch in range(12):
                events = [{"type": "track", "event": "E", "userId": f"u{n}", "messageId": f"{life}-{batch}-{n}"} for n in range(100)]
                async with session.post(f"{relay.tracking_url}/v1/batch", json={"batch": events}, headers=BASIC) as answer:
                    assert answer.status == 200
                accepted |= {str(event["messageId"]) for event in events}
                await asyncio.sleep(0.03)
            if life < 3:
                relay.kill()
                await relay.start()

        async def all_there() -> bool:
            return accepted <= set(await written(store))

        await eventually(all_there, 90)
        assert await relay.terminate() == 0
    assert Counter(await written(store)) == Counter(accepted)
