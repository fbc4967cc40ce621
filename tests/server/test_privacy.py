"""Sensitive fields in a running relay: what is blocked at a source is nowhere on disk, what is encrypted can be read with the private key alone."""

import base64
import gzip
import json
import subprocess
import zlib
from pathlib import Path
from typing import Any

import aiohttp
from structlog.testing import capture_logs

from relay.base.secret import MASK
from relay.kit.encryption import decrypt, new_pair
from tests.support.app import running, source, table, webhook
from tests.support.process import RelayProcess
from tests.support.receiver import Receiver, answer
from tests.support.tracking_server import tracking_server
from tests.support.waiting import eventually

CANARY, KEPT, KEPT_REFUSED = "CANARYCANARY", "KEPTKEPT", "KEPTREFUSED"
EVENTS, BATCH = 10_000, 500
PRIVACY = {"block": ["red", "traits.iban", "properties.nested.deep", "secretCode"], "mask": ["yellow"]}
RARE = {"trigger": 'event = "Rare"'}
MATCHER = table("matcher", {"name": "badge", "color": "red", "on": "value", "pattern": "badge [A-Z]+"})


def events() -> list[dict[str, Any]]:
    return [
        {
            "type": "track",
            "event": "Rare" if number % 200 == 0 else "Common",
            "userId": f"u{number % 1000}",
            "messageId": f"m{number}",
            "context": {"traits": {"iban": CANARY, "email": f"{CANARY}@example.com"}, "ip": "198.51.100.7", "os": {"passcode": CANARY}},
            "properties": {
                "password": CANARY,
                "access-token": {"value": [CANARY]},
                "nested": [{"deep": CANARY, "secret_code": CANARY}, {"deep": {"x": CANARY}}],
                "note": f"badge {CANARY}",
                "kept": KEPT,
            },
        }
        for number in range(EVENTS)
    ]


def refused() -> list[Any]:
    deep: Any = {"password": CANARY}
    for _ in range(200):
        deep = {"a": deep}
    good = {"type": "track", "event": "E", "userId": "u"}
    return [
        {"type": "nothing", "traits": {"iban": CANARY}, "password": CANARY, "kept": KEPT_REFUSED},
        {"type": "track", "userId": "u", "properties": {"password": CANARY, "kept": KEPT_REFUSED}},
        good | {"properties": json.dumps({"password": CANARY})},
        good | {"properties": [{"iban": CANARY}]},
        good | {"properties": deep},
        good | {"properties": {"token": CANARY, "filling": "x" * 40_000}},
        good | {"userId": {"iban": CANARY}},
        good | {"context": {"traits": CANARY}},
        [{"password": CANARY}],
        CANARY,
        {"user": {"traits": {"iban": CANARY}}, "body": f"password={CANARY}"},
    ]


def config(receiver: Receiver) -> str:
    text = '[log]\nlevel = "debug"\n' + MATCHER + source(privacy=PRIVACY) + source("off", enabled=False, privacy=PRIVACY)
    text += table("destination", {"slug": "archive", "type": "archive"})
    for slug in ("orders", "flaky", "broken"):
        text += webhook(slug, receiver, RARE, sources=["web"])
    return text


def found_in(path: Path, word: str) -> bool:
    """Whether a file, or what is compressed in it, holds the word."""
    data = path.read_bytes()
    plain = data
    if path.suffix == ".gz" or data[:2] == b"\x1f\x8b":
        try:
            plain = gzip.decompress(data)
        except (EOFError, zlib.error):  # a member that is being written
            plain = zlib.decompressobj(31).decompress(data)
    return word.encode() in data or word.encode() in plain


def files_with(folder: Path, word: str) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != "relay.toml" and found_in(path, word)
    )


def as_source(key: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


async def send(session: aiohttp.ClientSession, url: str, key: str, batch: list[Any]) -> None:
    async with session.post(f"{url}/v1/batch", json={"batch": batch}, headers=as_source(key)) as response:
        assert response.status == 200, await response.text()


async def provoke(session: aiohttp.ClientSession, relay: RelayProcess) -> None:
    """Everything that relay refuses as a whole, or takes by another door."""
    url, user = relay.tracking_url, as_source("wk_web")
    large = {"event": "E", "userId": "u", "properties": {"password": CANARY, "filling": "x" * 40_000}}
    calls: list[tuple[str, dict[str, Any], int]] = [
        ("track", {"data": f'{{"event":"E","properties":{{"password":"{CANARY}"', "headers": user}, 400),
        ("track", {"json": large, "headers": user}, 400),
        ("batch", {"json": {"batch": [{"password": CANARY}], "writeKey": "wrong"}}, 401),
        ("batch", {"json": {"batch": {"password": CANARY}}, "headers": user}, 400),
        ("batch", {"json": {"password": CANARY}, "headers": user}, 400),
    ]
    for path, request, status in calls:
        async with session.post(f"{url}/v1/{path}", **request) as response:
            assert response.status == status
            assert CANARY not in await response.text()
    pixel = {"event": "Rare", "userId": "u", "properties": {"password": CANARY, "kept": KEPT}, "writeKey": "wk_web"}
    for query in ({"data": base64.b64encode(json.dumps(pixel).encode()).decode()}, {"writeKey": "wk_web", "traits.iban": CANARY}):
        async with session.get(f"{url}/v1/pixel/track", params=query) as response:
            assert response.status == 200


async def test_a_blocked_field_is_nowhere_on_disk(tmp_path: Path) -> None:
    async with Receiver() as receiver, RelayProcess(tmp_path, config(receiver)) as relay:
        receiver.by_path |= {"/flaky": answer(503, body=b"later"), "/broken": answer(400, body=b"never")}
        made = events()
        async with aiohttp.ClientSession() as session:
            for first in range(0, EVENTS, BATCH):
                await send(session, relay.tracking_url, "wk_web", made[first : first + BATCH])
            await send(session, relay.tracking_url, "wk_web", made[:BATCH])  # duplicates
            for key in ("wk_web", "wk_off"):
                await send(session, relay.tracking_url, key, refused())
            await provoke(session, relay)

        def count(path: str) -> int:
            return sum(request.path == path for request in receiver.requests)

        rare = EVENTS // 200 + 1
        await eventually(lambda: count("/orders") >= rare and count("/broken") >= rare and count("/flaky") > 2, 60)  # then its breaker opens
        receiver.by_path.pop("/flaky")
        await eventually(lambda: any(path.startswith("data/archive") for path in files_with(tmp_path, KEPT)), 30)
        assert files_with(tmp_path, CANARY) == []
        relay.kill()
        assert files_with(tmp_path, CANARY) == []
        await relay.start()
        assert await relay.terminate() == 0
        assert files_with(tmp_path, CANARY) == []
        assert "data/relay.db" in files_with(tmp_path, KEPT)
        assert any(path.startswith("data/relay.db") for path in files_with(tmp_path, KEPT_REFUSED))
        assert not [request for request in receiver.requests if CANARY.encode() in request.body]
        sample = next(request.json for request in receiver.requests if request.json["messageId"] == "m200")
        assert sample["context"] | {"library": None} == {"traits": {"email": MASK}, "ip": MASK, "os": {}, "library": None}
        assert sample["properties"] == {"nested": [{}, {}], "kept": KEPT}
        assert "relay ready" in relay.output


async def test_the_trace_of_a_crash_holds_no_content() -> None:
    async def crash(*_: object) -> None:
        raise ValueError(CANARY)

    async with tracking_server() as server:
        server.outbox.append = crash  # type: ignore[method-assign,assignment]
        with capture_logs() as logs:
            answered = await server.post("/v1/track", {"writeKey": "wk_web", "event": "E", "userId": "u"})
    assert answered.status == 503
    told = str(logs)
    assert "ValueError" in told
    assert "in crash" in told
    assert CANARY not in told


async def test_an_encrypted_field_reaches_the_receiver_for_the_owner_of_the_key_alone(tmp_path: Path) -> None:
    private, public = new_pair(2048)
    (tmp_path / "crm.pem").write_text(public)
    (tmp_path / "private.pem").write_text(private)
    privacy = {"encrypt": ["email", "traits.address"], "mask": ["phone"], "block": ["ip"], "public_key": "${file:crm.pem}"}
    async with Receiver() as receiver:
        text = source() + webhook("crm", receiver, privacy=privacy) + webhook("open", receiver)
        async with running(text, tmp_path) as relay:
            traits = {"email": "ada@example.com", "phone": "+4915112345678", "plan": "pro", "address": {"street": "Königsallee " * 30, "city": "X"}}
            assert await relay.send([{"type": "identify", "userId": "u1", "traits": traits, "context": {"ip": "198.51.100.7"}}]) == 200
            await relay.settled("crm", "open")
        by_path = {request.path: request.json for request in receiver.requests}
    assert by_path["/open"]["traits"] == traits
    sent = by_path["/crm"]["traits"]
    assert (sent["phone"], sent["plan"]) == (MASK, "pro")
    assert "ip" not in by_path["/crm"]["context"]
    options = ["rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256"]
    order = [
        "openssl",
        "pkeyutl",
        "-decrypt",
        "-inkey",
        str(tmp_path / "private.pem"),
        *(word for option in options for word in ("-pkeyopt", option)),
    ]
    opened = subprocess.run(order, input=base64.b64decode(sent["email"]), capture_output=True, check=True).stdout
    assert opened == b"ada@example.com"
    assert json.loads(decrypt(sent["address"], private)) == traits["address"]


async def test_the_audience_of_a_new_rule_is_every_event_from_then_on(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        async with running(source() + webhook("orders", receiver), tmp_path) as relay:
            await relay.track("u1", password="before")
            await relay.reload(source(privacy={"block": ["red"]}) + webhook("orders", receiver))
            await relay.track("u1", password="after", kept=1)
            await relay.settled("orders")
        assert [body["properties"] for body in receiver.bodies] == [{"password": "before"}, {"kept": 1}]
