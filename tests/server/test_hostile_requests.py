"""What a hostile client sends costs a bounded time and never the server: an answer of the right shape, or a cut connection."""

import asyncio
import gzip
import json
import ssl
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.errors import ConfigError
from relay.web.server import Guards, Listener, Proxies, parse_listen
from relay.web.tracking.ingest import TrackingLimits
from tests.support.tracking_server import Answer, TrackingServer, read_answer, tracking_server

TRACK = {"event": "x", "userId": "u", "writeKey": "wk_web"}
ENDPOINTS = ("/v1/track", "/v1/t", "/v1/batch", "/v1/m", "/v1/alias", "/api/s/page", "/v1/pixel/track", "/v1/projects/x/settings", "/x")


def assert_clean(answer: Answer) -> None:
    assert 200 <= answer.status < 500, answer
    assert answer.headers["access-control-allow-origin"] == "*"
    if answer.status >= 400:
        assert answer.json["success"] is False
        assert answer.json["code"]
        assert answer.json["message"]


async def assert_alive(server: TrackingServer) -> None:
    assert (await server.post("/v1/track", TRACK)).status == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["batch", "type", "userId", "context", "sentAt", "x"]), inner),
    max_leaves=8,
)
BODY = st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode())


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(ENDPOINTS), st.sampled_from(["POST", "GET", "PUT"]), BODY), min_size=5, max_size=10))
def test_any_body_at_any_address_is_answered_in_shape(cases: list[tuple[str, str, bytes]]) -> None:
    async def run() -> None:
        async with tracking_server() as server:
            for path, method, body in cases:
                for headers in ({}, {"Authorization": "Basic d2tfd2ViOg=="}, {"Content_Encoding": "gzip"}):
                    assert_clean(await server.ask(method, path, body, **headers))
            await assert_alive(server)

    asyncio.run(run())


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.binary(min_size=1, max_size=300), min_size=5, max_size=10))
def test_any_bytes_are_answered_in_shape_or_cut(blobs: list[bytes]) -> None:
    async def run() -> None:
        async with tracking_server(guards=Guards(head_timeout_s=0.2)) as server:
            for blob in blobs:
                for raw in (blob, blob + b"\r\n\r\n", b"POST /v1/t?" + blob + b" HTTP/1.1\r\nHost: x\r\n\r\n"):
                    answer = await server.send(raw, timeout_s=3, eof=True)
                    if answer.status:
                        assert_clean(answer)
            await assert_alive(server)

    asyncio.run(run())


@pytest.mark.parametrize(
    "head",
    [
        b"NONSENSE\r\n\r\n",
        b"BREW /v1/track HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/track HTTP/9.9\r\nHost: x\r\n\r\n",
        b"POST /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/track HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
        b"POST /v1/track HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /v1/track HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
        b"POST /v1/track HTTP/1.1\r\nHost: x\r\nUser-Agent: a\0b\r\n\r\n",
    ],
)
async def test_what_is_no_http_gets_the_json_shape(head: bytes) -> None:
    async with tracking_server() as server:
        answer = await server.send(head)
        assert_clean(answer)
        assert (answer.status, answer.json["code"]) == (400, "bad_request")
        await assert_alive(server)


@pytest.mark.parametrize("target", ["*", "http://other.example/v1/track", "/%ff%00", "/v1//track", "/v1/track?%ff=%", "/../..", "/v1/track#x"])
async def test_strange_targets_are_answered_in_shape(target: str) -> None:
    async with tracking_server() as server:
        for method in ("POST", "GET", "OPTIONS", "HEAD"):
            answer = await server.ask(method, target)
            assert answer.status < 500
            assert answer.headers["access-control-allow-origin"] == "*"


async def test_connect_and_upgrade_harm_nobody() -> None:
    async with tracking_server() as server:
        for head in (
            b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /v1/track HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + b"x" * 1000,
        ):
            assert_clean(await server.send(head))
        await assert_alive(server)


async def test_a_silent_or_slow_head_is_cut_in_time() -> None:
    async with tracking_server(guards=Guards(head_timeout_s=0.3)) as server:
        for beginning in (b"", b"POST /v1/track HTTP/1.1\r\nHo"):
            started = time.monotonic()
            assert (await server.send(beginning, timeout_s=10)).status == 0
            assert 0.2 < time.monotonic() - started < 8
        await assert_alive(server)


async def test_a_served_connection_outlives_the_head_timeout() -> None:
    async with tracking_server(guards=Guards(head_timeout_s=0.2)) as server:
        body = json.dumps(TRACK).encode()
        request = b"POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for _ in range(2):
            writer.write(request)
            assert (await read_answer(reader)).status == 200
            await asyncio.sleep(0.4)
        writer.close()


async def test_half_a_body_is_answered_408_in_time() -> None:
    async with tracking_server(TrackingLimits(body_timeout_s=0.3)) as server:
        for head in (b"Content-Length: 100", b"Transfer-Encoding: chunked"):
            started = time.monotonic()
            answer = await server.send(b"POST /v1/track HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n", timeout_s=5)
            assert_clean(answer)
            assert (answer.status, answer.json["code"]) == (408, "timeout")
            assert time.monotonic() - started < 4.5
        await assert_alive(server)


async def test_a_client_that_leaves_in_the_middle_harms_nobody() -> None:
    async with tracking_server() as server:
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            await writer.drain()
            writer.transport.abort()
        await assert_alive(server)
        assert len(server.events) == 1


async def test_a_gzip_bomb_is_refused_without_being_opened() -> None:
    bomb = gzip.compress(b"0" * 100_000_000)
    async with tracking_server() as server:
        started = time.process_time()
        answer = await server.post("/v1/batch", bomb, Content_Encoding="gzip")
        assert (answer.status, answer.json["code"]) == (400, "request_too_large")
        assert time.process_time() - started < 0.2
        await assert_alive(server)


@pytest.mark.parametrize("body", [b"[" * 500_000, b'{"a":' * 90_000, b'{"batch":' + b"[" * 400_000 + b"]" * 100_000, b"[" * 2000 + b"]" * 2000])
async def test_json_of_any_depth_is_a_400(body: bytes) -> None:
    async with tracking_server() as server:
        answer = await server.post("/v1/batch", body)
        assert_clean(answer)
        assert answer.status == 400
        await assert_alive(server)


@pytest.mark.parametrize("depth", [70, 300, 900, 1100])
async def test_a_deep_event_costs_itself_only(depth: int) -> None:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    async with tracking_server() as server:
        body = b'{"writeKey":"wk_web","batch":[{"type":"page","userId":"u","properties":%s},{"type":"page","userId":"u"}]}' % deep
        answer = await server.post("/v1/batch", body)
        assert_clean(answer)
        if answer.status == 200:
            assert len(server.events) == 1
            assert server.refused == {"too_deep": 1}


@pytest.mark.parametrize("number", [b"9" * 400, b"9" * 5000, b"-" + b"9" * 5000, b"1e999", b"18446744073709551616", b"0." + b"1" * 5000])
async def test_huge_numbers_never_make_a_5xx(number: bytes) -> None:
    async with tracking_server() as server:
        for field in (b"userId", b"messageId", b"timestamp", b"x"):
            assert_clean(await server.post("/v1/track", b'{"writeKey":"wk_web","event":"x","anonymousId":"a","%s":%s}' % (field, number)))
        await assert_alive(server)


async def test_connections_are_bounded_per_address_unless_it_is_a_proxy() -> None:
    guards = Guards(max_connections_per_address=3)
    async with tracking_server(guards=guards) as server:
        held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
        assert (await server.post("/v1/track", TRACK)).status == 0
        for _, writer in held:
            writer.close()
        async with asyncio.timeout(5):
            while (await server.post("/v1/track", TRACK)).status != 200:
                await asyncio.sleep(0.01)
    async with tracking_server(guards=replace(guards, trusted_proxies=("127.0.0.1",))) as server:
        held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(5)]
        await assert_alive(server)
        for _, writer in held:
            writer.close()


async def test_connections_are_bounded_in_all() -> None:
    async with tracking_server(guards=Guards(max_connections=2)) as server:
        held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        assert (await server.post("/v1/track", TRACK)).status == 0
        for _, writer in held:
            writer.close()


@pytest.mark.parametrize(
    ("chain", "trusted", "address"),
    [
        ("1.1.1.1", (), "127.0.0.1"),
        ("1.1.1.1", ("10.0.0.0/8",), "127.0.0.1"),
        ("1.1.1.1, 10.0.0.1", ("127.0.0.0/8", "10.0.0.0/8"), "1.1.1.1"),
        ("9.9.9.9, 1.1.1.1", ("127.0.0.0/8",), "1.1.1.1"),
        ("nonsense", ("127.0.0.0/8",), "127.0.0.1"),
        ("2001:db8::1", ("127.0.0.0/8",), "2001:db8::1"),
        ("", ("127.0.0.0/8",), "127.0.0.1"),
    ],
)
def test_forwarded_addresses_count_from_trusted_proxies_only(chain: str, trusted: tuple[str, ...], address: str) -> None:
    request = make_mocked_request("GET", "/", headers={"X-Forwarded-For": chain}).clone(remote="127.0.0.1")
    assert Proxies(trusted).client_address(request) == address


@pytest.mark.parametrize("listen", ["", "8000", "host:", "host:x", "host:70000", "host:٣"])
def test_an_address_that_is_none_is_a_config_error(listen: str) -> None:
    with pytest.raises(ConfigError):
        parse_listen(listen)


def test_listening_addresses_are_read() -> None:
    assert parse_listen("127.0.0.1:8000") == ("127.0.0.1", 8000)
    assert parse_listen("[::1]:0") == ("::1", 0)
    assert parse_listen(":80") == ("", 80)


async def hello(_: web.Request) -> web.Response:
    await asyncio.sleep(0.2)
    return web.Response(text="hello")


def hello_app() -> web.Application:
    app = web.Application()
    app.router.add_get("/", hello)
    return app


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_requests_in_progress_end_before_the_listener_does(run: object, tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "s"
        listener = Listener(hello_app(), f"unix:{path}")
        await listener.start()
        assert listener.urls == [f"unix:{path}"]
        reader, writer = await asyncio.open_unix_connection(path)
        idle = await asyncio.open_unix_connection(path)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(0.05)
        listener.stop_accepting()
        await listener.close(5)
        assert (await read_answer(reader)).body == b"hello"
        assert await idle[0].read() == b""
        assert not path.exists()
        writer.close()
        idle[1].close()

    run(story())  # type: ignore[operator]


async def test_a_taken_address_is_an_os_error_and_leaves_nothing_open() -> None:
    async with Listener(hello_app(), "127.0.0.1:0") as listener:
        with pytest.raises(OSError):
            await Listener(hello_app(), f"127.0.0.1:{listener.port}").start()


async def test_a_listener_speaks_tls(tmp_path: Path) -> None:
    cert, key = tmp_path / "c.pem", tmp_path / "k.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", cert]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    async with Listener(hello_app(), "127.0.0.1:0", Guards(tls_cert=str(cert), tls_key=str(key))) as listener:
        assert listener.urls == [f"https://127.0.0.1:{listener.port}"]
        context = ssl.create_default_context(cafile=str(cert))
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=context, server_hostname="localhost")
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await read_answer(reader)).body == b"hello"
        writer.close()
        await writer.wait_closed()
    with pytest.raises(ConfigError):
        await Listener(hello_app(), "127.0.0.1:0", Guards(tls_cert=str(tmp_path / "none.pem"))).start()
