"""Every captured request of a real client is answered as its client expects, and stored as it was meant."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from relay.base import jsonio
from tests.support.tracking_server import tracking_server

CAPTURES = Path(__file__).parent.parent / "data" / "captures"


def requests(name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (CAPTURES / f"{name}.jsonl").read_text().splitlines()]
    return [line for line in lines if line["request"]["path"] != "/token"]  # the OAuth server's, not relay's


def raw(request: dict[str, Any], port: int) -> tuple[bytes, bytes]:
    """The request as it was on the wire, and its body."""
    body = base64.b64decode(request["body_b64"]) if "body_b64" in request else request["body"].encode("utf-8", "surrogatepass")
    lines = [f"{name}: {value.replace('{{RELAY_HOST}}', f'127.0.0.1:{port}')}" for name, value in request["headers"] if name.lower() != "connection"]
    head = "\r\n".join([f"{request['method']} {request['path']} HTTP/{request['http_version']}", *lines, "Connection: close", "", ""])
    return head.encode("utf-8") + body, body


def sent_events(body: bytes, path: str) -> list[dict[str, Any]]:
    value = jsonio.loads_lenient(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
    return list(value["batch"]) if path in ("/v1/batch", "/v1/b") else [value]


@pytest.mark.parametrize("name", ["python", "node", "browser"])
async def test_every_capture_is_answered_as_recorded(name: str) -> None:
    async with tracking_server() as server:
        expected: dict[str, dict[str, Any]] = {}
        for line in requests(name):
            request = line["request"]
            wire, body = raw(request, server.port)
            answer = await server.send(wire)
            if request["path"].startswith("/analytics.js/") and answer.status == 404:
                assert "build_ui" in answer.json["message"]
                continue
            assert answer.status == line["response_status"], (line["sdk"], line["case"], answer)
            assert answer.headers["access-control-allow-origin"] == "*"
            if request["method"] == "POST" and request["path"] != "/v1/m":
                for event in sent_events(body, request["path"]):
                    expected.setdefault(str(event["messageId"]), event)
        stored = {event["messageId"]: event for event in server.events}
        assert stored.keys() == expected.keys()
        assert not server.refused
        for message_id, event in stored.items():
            assert_kept(expected[message_id], event, is_browser=name == "browser")


def assert_kept(sent: dict[str, Any], stored: dict[str, Any], *, is_browser: bool) -> None:
    for field in ("event", "name", "category", "properties", "traits", "integrations", "_metadata"):
        assert stored.get(field) == sent.get(field)
    for field in ("userId", "anonymousId", "previousId", "groupId"):
        wanted = sent.get(field)
        assert stored.get(field) == (str(wanted) if wanted not in (None, "") else None)
    assert stored["version"] == 2
    for field in ("receivedAt", "timestamp"):
        assert len(stored[field]) == 24
        assert stored[field].endswith("Z")
    assert "writeKey" not in stored
    own = sent.get("context") or {}
    assert {key: stored["context"][key] for key in own} == own
    if is_browser:
        assert stored["context"]["ip"] == own.get("ip", "127.0.0.1")
        assert stored["channel"] == "browser"
