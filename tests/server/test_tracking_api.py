"""The tracking API over HTTP, as its contract says."""

import asyncio
import base64
import gzip
import json
import zlib
from typing import Any

import pytest

from relay.outbox.interface import Pressure
from relay.web.server import Guards
from relay.web.tracking.ingest import TrackingLimits
from relay.workspace.model import Source
from tests.support.tracking_server import Answer, tracking_server

TRACK = {"event": "Signed Up", "userId": "u1", "writeKey": "wk_web"}
BODIES: dict[str, dict[str, Any]] = {
    "identify": {"traits": {}},
    "track": {"event": "x"},
    "page": {},
    "screen": {},
    "group": {"groupId": "g"},
    "alias": {"previousId": "p"},
}


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode().rstrip("=")


def assert_error(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json["success"], answer.json["code"]) == (status, False, code)
    assert answer.json["message"]
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-expose-headers"] == "Retry-After"


@pytest.mark.parametrize("form", ["/v1/{}", "/v1/{}/", "/{}", "/v1/{:.1}", "/{:.1}/", "/api/s/{}"])
async def test_each_call_has_a_long_and_a_short_address(form: str) -> None:
    async with tracking_server() as server:
        for kind, fields in BODIES.items():
            answer = await server.post(form.format(kind), fields | {"userId": "u", "type": "wrong", "writeKey": "wk_web"})
            assert (answer.status, answer.json) == (200, {"success": True})
            assert answer.headers["access-control-allow-origin"] == "*"
        assert [event["type"] for event in server.events] == list(BODIES)


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/v1/import", "/batch", "/b/", "/v1/batch/"])
async def test_a_batch_is_taken_and_a_bad_item_costs_itself_only(path: str) -> None:
    items = [{"type": "track", "event": "a", "userId": "u"}, {"type": "track", "userId": "u"}, 7, {"type": "page", "anonymousId": "b"}]
    async with tracking_server() as server:
        answer = await server.post(path, {"batch": items, "writeKey": "wk_web"})
        assert answer.status == 200
        assert [event["type"] for event in server.events] == ["track", "page"]
        assert server.refused == {"event_not_defined": 1, "bad_request": 1}
        assert all("writeKey" not in event for event in server.events)


@pytest.mark.parametrize(
    ("headers", "fields", "query", "status"),
    [
        ({"Authorization": basic("wk_web:")}, {}, "", 200),
        ({"Authorization": basic("wk_web")}, {}, "", 200),
        ({"Authorization": "basic " + base64.b64encode(b"wk_web:").decode()}, {}, "", 200),
        ({"Authorization": basic("wk_web:")}, {"writeKey": "wrong"}, "", 200),
        ({"Authorization": basic("wrong:")}, {"writeKey": "wk_web"}, "", 401),
        ({"Authorization": basic(":")}, {"writeKey": "wk_web"}, "", 200),
        ({"Authorization": "Basic ///!"}, {"writeKey": "wk_web"}, "", 200),
        ({"Authorization": "Bearer eyJhbGciOi.x.y"}, {"writeKey": "wk_web"}, "", 200),
        ({"Authorization": "Bearer wk_web"}, {}, "", 401),
        ({"X-Write-Key": "wk_web"}, {"writeKey": "***"}, "", 200),
        ({}, {"writeKey": "wk_web"}, "", 200),
        ({}, {"batch": [{"writeKey": "wk_web", "type": "page", "userId": "u"}]}, "", 200),
        ({}, {}, "?writeKey=wk_web", 200),
        ({}, {"writeKey": 7}, "", 401),
        ({}, {"writeKey": ["wk_web"]}, "", 401),
        ({}, {}, "", 401),
    ],
)
async def test_the_write_key_comes_in_several_places(headers: dict[str, str], fields: dict[str, Any], query: str, status: int) -> None:
    async with tracking_server() as server:
        answer = await server.post(f"/v1/batch{query}", {"batch": [{"type": "page", "userId": "u"}]} | fields, **headers)
        assert answer.status == status
        if status == 401:
            assert_error(answer, 401, "invalid_write_key")
        assert len(server.events) == (status == 200)


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", "", "nonsense;;"])
async def test_content_type_is_ignored(content_type: str) -> None:
    async with tracking_server() as server:
        assert (await server.post("/v1/track", TRACK, Content_Type=content_type)).status == 200


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/track", b"", "invalid_json"),
        ("/v1/track", b"{", "invalid_json"),
        ("/v1/track", b"\xff\xfe{}", "invalid_json"),
        ("/v1/track", b"[" * 1_000_0, "invalid_json"),
        ("/v1/track", b"[]", "invalid_body"),
        ("/v1/track", b"null", "invalid_body"),
        ("/v1/batch", b"{}", "invalid_body"),
        ("/v1/batch", b'{"batch":{}}', "invalid_body"),
        ("/v1/track", b'{"writeKey":"wk_web","userId":"u","event":"x","properties":{"t":"' + b"x" * 33_000 + b'"}}', "event_too_large"),
        ("/v1/track", b'{"t":"' + b"x" * 512_000 + b'"}', "request_too_large"),
        ("/v1/batch", b'{"writeKey":"wk_web","batch":[' + b",".join([b"{}"] * 2501) + b"]}", "too_many_events"),
    ],
)
async def test_what_is_no_request_is_a_400_with_its_code(path: str, body: bytes, code: str) -> None:
    async with tracking_server() as server:
        assert_error(await server.post(path, body), 400, code)
        assert not server.events


async def test_an_over_large_event_in_a_batch_costs_itself_only() -> None:
    items = [{"type": "page", "userId": "u"}, {"type": "page", "userId": "u", "properties": {"t": "x" * 40_000}}]
    async with tracking_server() as server:
        assert (await server.post("/v1/batch", {"batch": items, "writeKey": "wk_web"})).status == 200
        assert len(server.events) == 1
        assert server.refused == {"event_too_large": 1}


async def test_json_of_real_clients_is_read_leniently() -> None:
    body = (
        b'\xef\xbb\xbf{"writeKey":"wk_web","userId":"u","event":"x","properties":{"n":NaN,"i":-Infinity,"e":"\\ud83e","big":1180591620717411303424}}'
    )
    async with tracking_server() as server:
        assert (await server.post("/v1/track", body)).status == 200
        assert server.events[0]["properties"] == {"n": None, "i": None, "e": "\ufffd", "big": 2.0**70}


def compressed(data: bytes, wbits: int) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(data) + packer.flush()


PLAIN = json.dumps(TRACK).encode()


@pytest.mark.parametrize(
    ("encoding", "body", "code"),
    [
        ("gzip", gzip.compress(PLAIN), ""),
        ("GZIP", gzip.compress(PLAIN), ""),
        ("deflate", compressed(PLAIN, 15), ""),
        ("deflate", compressed(PLAIN, -15), ""),
        ("identity", PLAIN, ""),
        ("gzip", PLAIN, "bad_encoding"),
        ("gzip", gzip.compress(PLAIN)[:-9], "bad_encoding"),
        ("gzip", gzip.compress(PLAIN)[:-8] + b"\0" * 8, "bad_encoding"),
        ("gzip", gzip.compress(PLAIN) + b"junk", "bad_encoding"),
        ("gzip", b"", "invalid_json"),
        ("deflate", b"\x78junk", "bad_encoding"),
        ("br", PLAIN, "bad_encoding"),
        ("zstd", PLAIN, "bad_encoding"),
        ("gzip, gzip", gzip.compress(gzip.compress(PLAIN)), "bad_encoding"),
        ("gzip", gzip.compress(b"x" * 512_001), "request_too_large"),
    ],
)
async def test_one_layer_of_gzip_or_deflate_is_opened(encoding: str, body: bytes, code: str) -> None:
    async with tracking_server() as server:
        answer = await server.post("/v1/track", body, Content_Encoding=encoding)
        if code:
            assert_error(answer, 400, code)
        else:
            assert answer.status == 200


async def test_a_chunked_body_is_read() -> None:
    head = b"POST /v1/track HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with tracking_server() as server:
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (PLAIN[:9], PLAIN[9:])) + b"0\r\n\r\n"
        assert (await server.send(head + chunks)).status == 200
        assert_error(await server.send(head + b"zz\r\nbroken"), 400, "bad_request")


async def test_an_expectation_is_met_or_ignored() -> None:
    async with tracking_server() as server:
        for expected in ("100-continue", "a-miracle"):
            assert (await server.post("/v1/track", PLAIN, Expect=expected)).status == 200


@pytest.mark.parametrize("path", ["/v1/t", "/v1/batch", "/v1/m", "/nowhere", "/v1/projects/x/settings", "/v1/pixel/track"])
async def test_a_preflight_is_answered_before_anything_else(path: str) -> None:
    async with tracking_server() as server:
        server.outbox.stated = Pressure(0, 1, "full")
        asked = "authorization,x-retry-count"
        answer = await server.ask("OPTIONS", path, Origin="http://shop.example", Access_Control_Request_Headers=asked)
        assert (answer.status, answer.headers["access-control-allow-headers"]) == (204, asked)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert int(answer.headers["access-control-max-age"]) > 600
        assert "authorization" in (await server.ask("OPTIONS", path)).headers["access-control-allow-headers"].lower()


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/track", 405, "method_not_allowed"),
        ("PUT", "/v1/batch/", 405, "method_not_allowed"),
        ("DELETE", "/nowhere", 405, "method_not_allowed"),
        ("GET", "/", 404, "not_found"),
        ("POST", "/v1/tracks", 404, "not_found"),
        ("GET", "/v1/projects/unknown/settings", 404, "not_found"),
        ("GET", "/next-integrations/x.js", 404, "not_found"),
        ("GET", "/analytics.js/v1/unknown/analytics.min.js", 404, "not_found"),
    ],
)
async def test_wrong_methods_and_addresses_have_the_same_shape(method: str, path: str, status: int, code: str) -> None:
    async with tracking_server() as server:
        assert_error(await server.ask(method, path), status, code)


async def test_a_full_store_answers_503_and_a_full_memory_429_before_the_body_is_read() -> None:
    head = b"POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    async with tracking_server() as server:
        server.outbox.stated = Pressure(2000, 1000)
        answer = await server.send(head)
        assert_error(answer, 429, "overloaded")
        assert answer.headers["retry-after"] == "1"
        server.outbox.stated = Pressure(0, 1000, "disk_reserve", 30)
        answer = await server.send(head)
        assert_error(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "30"
        server.outbox.stated = Pressure(0, 1000)
        assert (await server.post("/v1/track", TRACK)).status == 200
        assert [event["event"] for event in server.events] == ["Signed Up"]


async def test_bodies_on_their_way_count_against_the_memory_bound() -> None:
    async with tracking_server() as server:
        server.outbox.stated = Pressure(0, 150_000)
        _, slow = await asyncio.open_connection("127.0.0.1", server.port)
        slow.write(b"POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{")
        await slow.drain()
        async with asyncio.timeout(5):
            while (await server.post("/v1/track", {"writeKey": "wk_web", "pad": "x" * 60_000})).status != 429:
                await asyncio.sleep(0.01)
        slow.close()
        async with asyncio.timeout(5):
            while (await server.post("/v1/track", {"writeKey": "wk_web", "pad": "x" * 60_000})).status == 429:
                await asyncio.sleep(0.01)


async def test_a_disabled_source_answers_200_and_keeps_nothing() -> None:
    async with tracking_server() as server:
        assert (await server.post("/v1/track", TRACK | {"writeKey": "wk_off"})).status == 200
        assert not server.events
        assert server.refused == {"source_disabled": 1}


async def test_a_resent_event_is_stored_once() -> None:
    async with tracking_server() as server:
        for _ in range(3):
            assert (await server.post("/v1/track", TRACK | {"messageId": "m"})).status == 200
        assert len(server.events) == 1


async def test_metrics_of_analytics_js_are_read_and_dropped() -> None:
    async with tracking_server() as server:
        for path in ("/v1/m", "/m"):
            answer = await server.post(path, b'{"series":[]}', Content_Type="text/plain")
            assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "*")
        assert not server.events


async def test_origin_marks_a_browser_and_proxies_are_believed_only_when_trusted() -> None:
    for proxies, ip in (((), "127.0.0.1"), (("127.0.0.0/8",), "203.0.113.5")):
        async with tracking_server(TrackingLimits(trusted_proxies=proxies)) as server:
            chain = "198.51.100.1, 203.0.113.5, 127.0.0.9"
            await server.post("/v1/track", TRACK, Origin="http://shop.example", X_Forwarded_For=chain, User_Agent="Caf\udce9")
            assert server.events[0]["context"] == {"ip": ip, "userAgent": "Caf\ufffd"}
            await server.post("/v1/track", TRACK, Sec_Fetch_Mode="cors")
            assert server.events[1]["context"] == {}


PIXEL = {"event": "Opened", "userId": "u", "writeKey": "wk_web", "properties": {"subject": "ÿ?>"}}


@pytest.mark.parametrize(
    ("query", "stored"),
    [
        ("data=" + base64.b64encode(json.dumps(PIXEL, ensure_ascii=False).encode()).decode(), 1),
        ("data=" + base64.urlsafe_b64encode(json.dumps(PIXEL, ensure_ascii=False).encode()).decode().rstrip("="), 1),
        ("event=Opened&userId=u&writeKey=wk_web&properties.subject=%C3%BF%3F%3E", 1),
        ("event=Opened&userId=u&writeKey=unknown", 0),
        ("data=%%%", 0),
        ("data=e30", 0),
        ("writeKey=wk_web&a.b=1&a=2&a.b.c=3&" + "x." * 3000 + "y=1", 0),
        ("", 0),
    ],
)
async def test_a_pixel_is_always_a_picture(query: str, stored: int) -> None:
    async with tracking_server() as server:
        for path in ("/v1/pixel/track", "/pixel/track/"):
            answer = await server.ask("GET", f"{path}?{query}", User_Agent="mail/1")
            assert (answer.status, answer.headers["content-type"], answer.headers["cache-control"]) == (200, "image/gif", "no-store")
            assert answer.body.startswith(b"GIF89a")
        assert len(server.events) == stored * 2
        for event in server.events:
            assert event["properties"] == {"subject": "ÿ?>"}
            assert event["context"] == {"ip": "127.0.0.1", "userAgent": "mail/1"}


async def test_the_settings_document_keeps_every_client_at_home() -> None:
    async with tracking_server() as server:
        server.outbox.stated = Pressure(0, 1, "full")
        answer = await server.ask("GET", "/v1/projects/wk_web/settings", Host="relay.example", Origin="http://shop.example")
        assert answer.json["integrations"]["Segment.io"]["apiHost"] == "relay.example/v1"
        assert answer.json["integrations"]["Segment.io"]["apiKey"] == "wk_web"
        assert answer.json["integrations"]["Segment.io"]["protocol"] == "http"
        assert answer.json["metrics"]["host"] == "relay.example/v1"
        assert list(answer.json["integrations"]) == ["Segment.io"]
        assert answer.headers["cache-control"] == "public, max-age=60"
        again = await server.ask("GET", "/projects/wk_web/settings/", Host="relay.example", If_None_Match=answer.headers["etag"])
        assert (again.status, again.body, again.headers["access-control-allow-origin"]) == (304, b"", "*")
    async with tracking_server(TrackingLimits(public_url="https://t.example/relay/")) as server:
        entry = (await server.ask("GET", "/v1/projects/wk_web/settings")).json["integrations"]["Segment.io"]
        assert (entry["apiHost"], entry["protocol"]) == ("t.example/relay/v1", "https")


async def test_the_script_is_served_with_its_key_or_says_how_to_build_it() -> None:
    async with tracking_server(sources=(Source("q", "q", "Q", ('k"k',)),)) as server:
        answer = await server.ask("GET", "/analytics.js/v1/k%22k/analytics.min.js")
        if answer.status == 404:
            assert "scripts/build_ui.py" in answer.json["message"]
        else:
            assert b"__WRITE_KEY__" not in answer.body
            assert answer.headers["content-type"].startswith("text/javascript")


async def test_cors_can_be_narrowed() -> None:
    async with tracking_server(TrackingLimits(cors_origins=("https://a.example",))) as server:
        for origin, allowed in (("https://a.example", "https://a.example"), ("https://b.example", None)):
            answer = await server.post("/v1/track", TRACK, Origin=origin)
            assert (answer.headers.get("access-control-allow-origin"), answer.headers["vary"]) == (allowed, "Origin")


async def test_refused_requests_are_told_as_facts() -> None:
    async with tracking_server(guards=Guards()) as server:
        await server.post("/v1/track", {"userId": "u"})
        await server.post("/v1/track", b"{")
        assert [(fact.status, fact.code) for fact in server.facts] == [(401, "invalid_write_key"), (400, "invalid_json")]  # type: ignore[attr-defined]
