"""The outgoing client against a real receiver."""

import asyncio
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.errors import ConfigError, Misconfigured, Permanent, Retryable
from relay.kit.request import Request
from relay.net.client import ANSWER_BYTES, HttpTransport
from tests.support.receiver import Behaviour, Receiver, answer, drip, half_answer, half_head, raw, redirect, reset, stall


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def transport(receiver: Receiver) -> AsyncIterator[HttpTransport]:
    transport = HttpTransport(receiver.allow, 2.0)
    yield transport
    await transport.close()


async def test_a_request_arrives_as_it_was_written(receiver: Receiver, transport: HttpTransport) -> None:
    receiver.default = answer(202, {"X-Answer": "yes"}, b"taken")
    response = await transport.send(Request("POST", f"{receiver.url}/hook?a=1", (("content-type", "application/json"), ("X-Key", "k")), b'{"a":1}'))
    assert (response.status, response.body, response.headers["x-answer"]) == (202, b"taken", "yes")
    assert response.duration_ms > 0
    got = receiver.requests[0]
    assert (got.method, got.path, got.body) == ("POST", "/hook?a=1", b'{"a":1}')
    assert got.headers["content-type"] == "application/json"
    assert got.headers["x-key"] == "k"
    assert got.headers["accept-encoding"] == "identity"
    assert got.headers["user-agent"].startswith("relay/")
    assert "cookie" not in got.headers


async def test_no_content_type_is_made_up(receiver: Receiver, transport: HttpTransport) -> None:
    await transport.send(Request("POST", receiver.url, body=b"x"))
    assert "content-type" not in receiver.requests[0].headers


async def test_connections_are_used_again(receiver: Receiver, transport: HttpTransport) -> None:
    for _ in range(5):
        await transport.send(Request("POST", receiver.url, body=b"x"))
    assert receiver.connections == 1


async def test_cookies_are_forgotten(receiver: Receiver, transport: HttpTransport) -> None:
    receiver.default = answer(200, {"set-cookie": "a=b"})
    for _ in range(2):
        await transport.send(Request("GET", receiver.url))
    assert "cookie" not in receiver.requests[1].headers


async def test_a_large_body_is_sent_whole(receiver: Receiver, transport: HttpTransport) -> None:
    receiver.default = answer(413)
    response = await transport.send(Request("POST", receiver.url, body=b"x" * 900_000))
    assert response.status == 413
    assert len(receiver.requests[0].body) == 900_000


async def test_an_endless_answer_is_cut_at_64_kib_and_its_connection_closed(receiver: Receiver, transport: HttpTransport) -> None:
    receiver.default = answer(200, body=b"x" * 5_000_000)
    for _ in range(2):
        response = await transport.send(Request("GET", receiver.url))
        assert len(response.body) == ANSWER_BYTES
    assert receiver.connections == 2


async def test_a_compressed_answer_is_not_inflated(receiver: Receiver, transport: HttpTransport) -> None:
    receiver.default = answer(200, {"content-encoding": "gzip"}, b"not gzip at all")
    assert (await transport.send(Request("GET", receiver.url))).body == b"not gzip at all"


async def test_a_redirect_is_not_followed(receiver: Receiver, transport: HttpTransport) -> None:
    receiver.default = redirect("http://169.254.169.254/")
    assert (await transport.send(Request("POST", receiver.url))).status == 302
    assert receiver.count == 1


FAILURES: list[tuple[str, Behaviour]] = [
    ("ECONNRESET", reset()),
    ("ECONNRESET", half_head()),
    ("EPROTO", raw(b"SSH-2.0-OpenSSH_9\r\n\r\n")),
    ("EPROTO", raw(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 20_000 + b"\r\n\r\n")),
]


@pytest.mark.parametrize(("code", "behaviour"), FAILURES)
async def test_a_broken_answer_may_be_retried(receiver: Receiver, transport: HttpTransport, code: str, behaviour: Behaviour) -> None:
    receiver.default = behaviour
    with pytest.raises(Retryable) as caught:
        await transport.send(Request("POST", receiver.url, body=b"x"))
    assert caught.value.code == code


@pytest.mark.parametrize("timeout_s", [0.2, None])
async def test_a_silent_receiver_times_out(receiver: Receiver, timeout_s: float | None) -> None:
    transport = HttpTransport(receiver.allow, 0.3)
    receiver.default = stall(5)
    started = time.monotonic()
    with pytest.raises(Retryable) as caught:
        await transport.send(Request("POST", receiver.url, timeout_s=timeout_s))
    assert caught.value.code == "ETIMEDOUT"
    assert time.monotonic() - started < 4
    await transport.close()


@pytest.mark.parametrize("status", [200, 500])
async def test_the_status_counts_when_the_body_breaks_off(receiver: Receiver, transport: HttpTransport, status: int) -> None:
    receiver.default = half_answer(status)
    response = await transport.send(Request("POST", receiver.url))
    assert (response.status, response.body) == (status, b'{"half":')


async def test_a_dripping_body_ends_with_the_total_time(receiver: Receiver) -> None:
    transport = HttpTransport(receiver.allow, 0.5)
    receiver.default = drip(b"x" * 1000, 0.05)
    started = time.monotonic()
    response = await transport.send(Request("POST", receiver.url))
    assert response.status == 200
    assert 0 < len(response.body) < 1000
    assert time.monotonic() - started < 10
    await transport.close()


async def test_a_receiver_that_is_away_refuses_and_comes_back(receiver: Receiver, transport: HttpTransport) -> None:
    await transport.send(Request("POST", receiver.url))
    async with receiver.away():
        await asyncio.sleep(0.05)
        with pytest.raises(Retryable) as caught:
            await transport.send(Request("POST", receiver.url))
        assert caught.value.code == "ECONNREFUSED"
    assert (await transport.send(Request("POST", receiver.url))).status == 200


async def test_an_unknown_name_is_not_found() -> None:
    transport = HttpTransport([], 5.0)
    with pytest.raises(Retryable) as caught:
        await transport.send(Request("GET", "http://no-such-name.invalid/"))
    assert caught.value.code == "ENOTFOUND"
    await transport.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254", "[64:ff9b::7f00:1]"])
async def test_a_private_address_is_refused_before_a_byte_is_sent(receiver: Receiver, host: str) -> None:
    transport = HttpTransport([], 2.0)
    with pytest.raises(Misconfigured) as caught:
        await transport.send(Request("POST", f"http://{host}:{receiver.port}/"))
    assert caught.value.code == "blocked_address"
    assert receiver.connections == 0
    await transport.close()


async def test_a_name_with_one_allowed_address_works(receiver: Receiver, transport: HttpTransport) -> None:
    # localhost is ::1 too on most machines; only 127.0.0.1 is allowed.
    assert (await transport.send(Request("GET", f"http://localhost:{receiver.port}/"))).status == 200


@pytest.mark.parametrize(
    "url", ["ftp://example.com/", "file:///etc/passwd", "http://user:pass@example.com/", "http:///nohost", "", "http://[::1/", "/relative"]
)
async def test_a_url_that_is_not_plain_http_is_refused(url: str) -> None:
    transport = HttpTransport([], 1.0)
    with pytest.raises(Misconfigured) as caught:
        await transport.send(Request("GET", url))
    assert caught.value.code == "INVALID_SETTINGS"
    assert "pass" not in caught.value.message.replace("password", "")
    await transport.close()


async def test_a_header_with_a_line_break_is_refused(receiver: Receiver, transport: HttpTransport) -> None:
    with pytest.raises(Permanent):
        await transport.send(Request("POST", receiver.url, (("x-name", "a\r\nx-admin: 1"),)))
    assert receiver.count == 0


def test_a_wrong_allow_list_is_refused_at_once() -> None:
    with pytest.raises(ConfigError):
        HttpTransport(["localhost"], 1.0)


async def test_closing_twice_is_harmless(receiver: Receiver, transport: HttpTransport) -> None:
    await HttpTransport([], 1.0).close()
    await transport.send(Request("GET", receiver.url))
    await transport.close()
    await transport.close()


async def test_a_cancelled_request_goes_on_being_cancelled(receiver: Receiver, transport: HttpTransport) -> None:
    receiver.default = stall(5)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await transport.send(Request("GET", receiver.url))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    order = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=receiver",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]
    subprocess.run([*order, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return key, cert


async def test_tls_is_verified_unless_a_ca_is_named_or_it_is_switched_off(certificate: tuple[Path, Path]) -> None:
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    async with Receiver(tls=context) as receiver:
        strict = HttpTransport(receiver.allow, 5.0)
        with pytest.raises(Retryable) as caught:
            await strict.send(Request("GET", receiver.url))
        assert caught.value.code == "ETLS"
        own = HttpTransport(receiver.allow, 5.0, ca_file=str(cert))
        loose = HttpTransport(receiver.allow, 5.0, verify=False)
        for transport in (own, loose):
            assert (await transport.send(Request("GET", receiver.url))).status == 200
        for transport in (strict, own, loose):
            await transport.close()


async def test_tls_to_a_plain_receiver_fails_as_tls(receiver: Receiver, transport: HttpTransport) -> None:
    with pytest.raises(Retryable) as caught:
        await transport.send(Request("GET", receiver.url.replace("http:", "https:")))
    assert caught.value.code in ("ETLS", "ECONNRESET")


async def test_a_missing_ca_file_holds_the_destination() -> None:
    with pytest.raises(Misconfigured):
        await HttpTransport([], 1.0, ca_file="/does/not/exist.pem").send(Request("GET", "https://example.com"))


async def test_a_listener_that_never_accepts_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        port = listener.getsockname()[1]
        transport = HttpTransport([f"127.0.0.1:{port}"], 0.3)
        with pytest.raises(Retryable) as caught:
            await transport.send(Request("GET", f"http://127.0.0.1:{port}/"))
        assert caught.value.code == "ETIMEDOUT"
        await transport.close()
