"""The private listener, asked over HTTP: who may, what is told, and what an order changes."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from relay.access.operator import Role
from relay.access.sessions import Links, Sessions
from relay.access.store import TokenStore
from relay.base import jsonio
from relay.base.clock import SystemClock
from relay.base.codes import Door
from relay.base.event import Event, event_of
from relay.base.secret import Secret
from relay.control.archives import Archives
from relay.control.measure import Measure
from relay.control.operate import Operations
from relay.control.publish import Publisher
from relay.control.replay import Replays
from relay.control.statistics import Statistics
from relay.control.why import Why
from relay.database.database import Database
from relay.errors import ConfigError, Place, Problem
from relay.kit.definition import Definition
from relay.observe.metrics import Metrics, Snapshot
from relay.observe.observer import Observer
from relay.outbox.interface import RETRY, Attempt, Consumer, Outcome, Settlement
from relay.outbox.memory import MemoryOutbox
from relay.pipeline.compiled import Compiled, CompiledDestination, CompiledSource, Current
from relay.web.auth import Gate
from relay.web.console.app import ConsoleApi, Ready, private_app
from relay.web.health import Health, Heartbeat
from relay.web.server import Listener, Proxies
from relay.workspace.model import Destination, Source, Workspace
from relay.workspace.store import WorkspaceStore
from relay.workspace.stored import NOTHING, Stored
from tests.support.inline_sqlite import InlineThread

CLI = "cli-token-of-this-start"
UI = "ui-token"
HOOK = Definition("webhook", "Webhook")
WORKSPACE = Workspace(
    0,
    (Source("web", "web", "Web", ("wk_canary",)), Source("app", "app", "App", ("wk_app",))),
    (Destination("orders", "orders", "Orders", "webhook", ("web",)), Destination("crm", "crm", "CRM", "webhook", ("web",), enabled=False)),
)


def compiled_of(workspace: Workspace) -> Compiled:
    sources = {one.source_id: CompiledSource(one) for one in workspace.sources}
    by_key = {key: sources[one.source_id] for one in workspace.sources for key in one.write_keys}
    destinations = {
        one.destination_id: CompiledDestination(one, HOOK, (), frozenset(one.source_ids), (one.slug,), workspace.version)
        for one in workspace.destinations
    }
    return Compiled(workspace.version, workspace, {"webhook": HOOK}, sources, by_key, destinations)


class Actors:
    """Stands where the supervisor is; says what it was asked."""

    def __init__(self) -> None:
        self.used: list[int] = []
        self.refreshed = 0

    async def use(self, compiled: Compiled) -> None:
        self.used.append(compiled.version)

    async def refresh(self) -> None:
        self.refreshed += 1


@dataclass
class Console:
    """What a test holds in its hands."""

    outbox: MemoryOutbox
    current: Current
    tokens: TokenStore
    database: Database
    http: aiohttp.ClientSession
    url: str
    actors: Actors = field(default_factory=Actors)
    candidate: Workspace = WORKSPACE
    problem: str = ""
    failing: set[str] = field(default_factory=set)

    def read(self, stored: Stored) -> tuple[Workspace, list[Problem]]:
        if self.problem:
            raise ConfigError([Problem(self.problem, Place("relay.toml", 7), "mend it")])
        return self.candidate, [Problem("a warning")]

    async def ask(self, method: str, path: str, body: Any = None, *, token: str = CLI, status: int = 200, **headers: str) -> Any:
        headers = ({"Authorization": f"Bearer {token}"} if token else {}) | headers
        async with self.http.request(method, self.url + path, json=body, headers=headers) as response:
            text = await response.text()
            assert response.status == status, text
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            return json.loads(text) if response.content_type == "application/json" else text

    async def get(self, path: str, **more: Any) -> Any:
        return await self.ask("GET", f"/ui/api/{path}", **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Any:
        return await self.ask("POST", f"/ui/api/{path}", {} if body is None else body, **more)

    async def audited(self) -> list[tuple[str, str, str]]:
        sql = "SELECT operator, action, subject FROM audit ORDER BY id"
        return await self.database.read(lambda connection: [tuple(row) for row in connection.execute(sql)])

    async def filled(self, count: int = 3, source_id: str = "web") -> Consumer:
        """`count` events, and the opened consumer of `orders` that has not looked at them."""
        clock = SystemClock()
        await self.outbox.create("orders")
        await self.outbox.append([event(f"m-{number}", source_id, int(clock.now() * 1000), number) for number in range(1, count + 1)])
        return await self.outbox.open("orders")


def event(message_id: str, source_id: str, received_ms: int, number: int = 0) -> Event:
    payload = {"messageId": message_id, "type": "track", "event": "Ordered", "userId": "u1", "properties": {"card": "canary", "number": number}}
    return event_of(payload, source_id, received_ms, jsonio.dumps(payload))


async def settle(consumer: Consumer, seq: int, result: str, code: str = "") -> None:
    at_s = SystemClock().now()
    row = Outcome("send-1", result, code or result, 1, at_s, at_s + 60, 500, b'{"response":{"status":500}}')
    attempt = Attempt(seq, "send-1", 1, result, code or result, 500, 12.0, at_s, 1)
    await consumer.settle([Settlement(seq, "web", (row,), ("u1",))], attempts=[attempt])


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    clock, current = SystemClock(), Current(compiled_of(replace(WORKSPACE, version=1)))
    database = await Database.open(tmp_path / "relay.db", clock=clock, on_fatal=lambda _: None, hop=InlineThread)
    outbox, tokens, actors = MemoryOutbox(clock), TokenStore(database, clock), Actors()
    metrics = Metrics(outbox.totals, version="1.0")
    observer = Observer(metrics)
    operations = Operations(outbox=outbox, current=current, access=tokens, clock=clock, observer=observer, refresh=actors.refresh)
    archives = Archives(outbox=outbox, current=current, clock=clock, open_archive=lambda destination: None)
    replays = Replays(outbox=outbox, current=current, supervisor=actors, access=tokens, clock=clock, archives=archives)
    made = Console(outbox, current, tokens, database, aiohttp.ClientSession(), "", actors)
    publisher = Publisher(
        read=made.read,
        compile=compiled_of,
        store=WorkspaceStore(database),
        stored=NOTHING,
        current=current,
        supervisor=actors,
        clock=clock,
        observer=observer,
    )
    gate = Gate(
        cli_token=Secret(CLI), ui_token=Secret(UI), metrics_token=Secret(""), tokens=tokens, hosts=("relay.example",), listen="127.0.0.1", clock=clock,
        sessions=Sessions(database, clock, lasts_s=3600, ui_token=Secret(UI)), links=Links(clock), proxies=Proxies(()),
    )  # fmt: skip
    measure = Measure(outbox, outbox.totals, current, clock, observer)
    statistics = Statistics(
        outbox=outbox, operations=operations, measure=measure, current=current, clock=clock, healthy=lambda: True,
        tracking_url=lambda: "http://127.0.0.1:8000",
    )  # fmt: skip
    api = ConsoleApi(
        ready=lambda: Ready("1.0", "http://127.0.0.1:8000", "http://127.0.0.1:8001", 1.0),
        current=current, operations=operations, replays=replays, why=Why(outbox=outbox, current=current, clock=clock), statistics=statistics, publisher=publisher, tokens=tokens,
        clock=clock, mask_names=("password",),
    )  # fmt: skip

    async def gauges() -> Snapshot:
        return Snapshot(await operations.figures())

    heartbeat = Heartbeat(clock)
    heartbeat.start()
    checks = {"store": lambda: "store" not in made.failing, "disk": lambda: "disk" not in made.failing}
    health = Health(heartbeat=heartbeat, checks=checks, metrics=metrics, gauges=gauges, gate=gate)
    async with Listener(private_app(api=api, health=health, gate=gate, pages=None), "127.0.0.1:0") as listener:
        made.url = listener.urls[0]
        yield made
    heartbeat.stop()
    await made.http.close()
    await outbox.close()
    await database.close()


async def test_health_needs_no_token_and_readiness_names_what_fails(console: Console) -> None:
    assert await console.ask("GET", "/healthz", token="", Host="10.0.0.9") == {"alive": True}
    assert await console.ask("GET", "/readyz", token="") == {"ready": True, "failed": []}
    console.failing = {"disk"}
    assert await console.ask("GET", "/readyz", token="", status=503) == {"ready": False, "failed": ["disk"]}


async def test_metrics_are_asked_at_the_scrape(console: Console) -> None:
    await console.filled(4)
    text = await console.ask("GET", "/metrics", token="")
    assert 'relay_backlog_entries{destination="orders",state="pending"} 4.0' in text
    assert 'relay_destination_state{destination="crm",state="disabled"} 1.0' in text


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:8001", 200), ("127.0.0.1", 200), ("[::1]:8001", 200), ("relay.example:8001", 200), ("RELAY.example", 200), ("evil.example", 403),
     ("127.0.0.1.evil.example", 403), ("10.1.2.3", 403), ("", 403)],
)  # fmt: skip
async def test_a_foreign_host_name_gets_nothing(console: Console, host: str, status: int) -> None:
    await console.get("status", Host=host, status=status)


async def test_a_write_must_be_json(console: Console) -> None:
    async with console.http.post(console.url + "/ui/api/reload", data=b"a=1", headers={"Authorization": f"Bearer {CLI}"}) as response:
        assert response.status == 415


async def test_ten_bad_tries_a_minute_lock_the_address_but_not_the_machines_own_token(console: Console) -> None:
    for _ in range(10):
        await console.get("status", token="wrong", status=401)
    assert (await console.get("status", token=UI, status=429))["error"]["code"] == "too_many_tries"
    await console.get("status")


@pytest.mark.parametrize("token", ["\u00e9\u00e9", "\udcff" * 3, "a b", "x" * 4000])
async def test_a_strange_token_is_refused_and_no_bug(console: Console, token: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(console.url.rpartition(":")[2]))
    head = f"GET /ui/api/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode("utf-8", "surrogateescape"))
    status = int((await reader.readline()).split()[1])
    assert status in (400, 401)
    await reader.read()
    writer.close()
    await writer.wait_closed()


async def test_roles_bound_what_a_token_may_do(console: Console) -> None:
    await console.filled()
    tokens = {role: (await console.post("tokens", {"name": f"{role}s", "role": role}, status=201))["token"] for role in Role}
    viewer, operator, admin = tokens[Role.VIEWER], tokens[Role.OPERATOR], tokens[Role.ADMIN]
    assert "canary" not in json.dumps(await console.get("sources", token=viewer))
    assert "payload" not in (await console.get("events?message_id=m-1", token=viewer))["events"][0]
    assert "wk_canary" in json.dumps(await console.get("sources", token=operator))
    for path in ("destinations/orders/hold", "destinations/orders/resume", "dead/resend", "dead/discard", "replay", "reload"):
        assert (await console.post(path, token=viewer, status=403))["error"]["code"] == "forbidden"
    await console.post("destinations/orders/hold", token=operator)
    await console.get("tokens", token=operator, status=403)
    await console.get("tokens", token=admin)


async def test_a_token_is_shown_once_and_revoked_at_once(console: Console) -> None:
    made = await console.post("tokens", {"name": "ci", "role": "viewer", "expires_in_s": 3600}, status=201)
    await console.get("status", token=made["token"])
    listed = (await console.get("tokens"))["tokens"]
    assert [(one["id"], one["name"], one["role"]) for one in listed] == [(made["id"], "ci", "viewer")]
    assert listed[0]["used_s"] > 0
    assert made["token"] not in json.dumps(listed)
    rows = await console.database.read(lambda connection: connection.execute("SELECT * FROM token").fetchall())
    assert made["token"] not in str(rows)
    await console.ask("DELETE", f"/ui/api/tokens/{made['id']}")
    await console.get("status", token=made["token"], status=401)
    await console.ask("DELETE", f"/ui/api/tokens/{made['id']}", status=404)
    assert [action for _, action, _ in await console.audited()] == ["token.new", "token.revoke"]


async def test_an_expired_token_is_nobody(console: Console) -> None:
    _, text = await console.tokens.new("old", Role.ADMIN, expires_s=SystemClock().now() - 1)
    await console.get("status", token=text, status=401)


@pytest.mark.parametrize(
    "body", [{"name": ""}, {"name": "x", "role": "owner"}, {"name": 7}, {"name": "x", "expires_in_s": -1}, {"name": "x", "extra": 1}, ["x"], {"name": "x" * 101}],
)  # fmt: skip
async def test_a_wrong_body_is_told_and_changes_nothing(console: Console, body: Any) -> None:
    assert (await console.post("tokens", body, status=400))["error"]["message"]
    assert (await console.get("tokens"))["tokens"] == []


async def test_hold_and_resume_change_the_state_and_leave_a_record(console: Console) -> None:
    await console.filled()
    await console.post("destinations/orders/hold")
    orders = (await console.get("status"))["destinations"][0]
    assert (orders["state"], orders["held_by"], orders["hold_code"], orders["pending"]) == ("held", "user", "user", 3)
    await console.post("destinations/orders/resume")
    orders = (await console.get("destinations"))["destinations"][0]
    assert (orders["state"], orders["held_by"], orders["balance_ok"]) == ("running", None, True)
    cursor = await console.outbox.cursor("orders")
    assert cursor
    assert (cursor.state["breaker"]["state"], "hold" in cursor.state) == ("closed", False)
    assert await console.audited() == [("cli", "destination.hold", "orders"), ("cli", "destination.resume", "orders")]


async def test_what_does_not_exist_is_404_and_what_has_not_started_409(console: Console) -> None:
    assert (await console.post("destinations/nowhere/hold", status=404))["error"]["code"] == "not_found"
    assert (await console.post("destinations/crm/hold", status=409))["error"]["code"] == "not_started"
    assert (await console.get("nothing", status=404))["error"]["code"] == "not_found"
    assert (await console.get("reload", status=405))["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("by", ["user", "relay"])
async def test_the_overview_tells_who_holds_and_why(console: Console, by: str) -> None:
    await console.filled()
    hold = {"by": by, "code": "credentials", "since_s": 5.0, "status": 401, "sample": "no"}
    await console.outbox.set_state("orders", lambda state: state | {"hold": hold})
    orders = (await console.get("status"))["destinations"][0]
    assert [orders[key] for key in ("state", "held_by", "hold_code", "hold_status", "since", "sample")] == ["held", by, "credentials", 401, 5.0, "no"]


async def test_dead_letters_are_listed_counted_resent_and_discarded(console: Console) -> None:
    consumer = await console.filled(4)
    for seq, code in ((1, "404"), (2, "404"), (3, "BAD_REQUEST")):
        await settle(consumer, seq, Door.DEAD, code)
    told = await console.get("dead?to=orders&limit=2")
    assert told["total"] == 3
    first = told["dead"][0]
    assert (first["destination"], first["message_id"], first["code"], first["status"], first["attempts"]) == ("orders", "m-1", "404", 500, 1)
    assert first["detail"] == {"response": {"status": 500}}
    assert [one["message_id"] for one in (await console.get("dead?message_id=m-3"))["dead"]] == ["m-3"]
    assert await console.post("dead/resend", {"to": "orders", "code": "404", "dry_run": True}) == {"count": 2}
    assert await console.post("dead/resend", {"to": "orders", "ids": [first["id"]]}) == {"count": 1}
    assert await console.post("dead/discard", {"message_ids": ["m-3"]}) == {"count": 1}
    assert [one["message_id"] for one in (await console.get("dead"))["dead"]] == ["m-2"]
    assert (await console.outbox.balance("orders")).holds


async def test_a_filter_takes_the_dead_letters_whose_event_it_matches(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.control.operate.PAGE", 2)
    consumer = await console.filled(6)
    for seq in range(1, 7):
        await settle(consumer, seq, Door.DEAD, "404" if seq % 2 else "BAD_REQUEST")
    query = urlencode({"to": "orders", "filter": "properties.number >= 2 and properties.number < 6", "limit": 3})
    told = await console.get(f"dead?{query}")
    assert (told["total"], [one["message_id"] for one in told["dead"]]) == (4, ["m-2", "m-3", "m-4"])
    assert len((await console.get(f"dead/export?{query}")).splitlines()) == 4
    order = {"to": "orders", "code": "404", "filter": "properties.number > 2"}
    assert await console.post("dead/resend", order | {"dry_run": True}) == {"count": 2}
    assert await console.post("dead/resend", order) == {"count": 2}
    assert [row.seq for _, row in [pair for seq in range(1, 7) for pair in await console.outbox.history.rows(seq)] if row.state == "retry"] == [3, 5]
    assert await console.post("dead/discard", {"filter": "properties.number <= 2"}) == {"count": 2}
    assert [one["message_id"] for one in (await console.get("dead"))["dead"]] == ["m-4", "m-6"]
    assert (await console.outbox.balance("orders")).holds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('event ~ "E"', 'filter, character 7: "~" is not read here'),
        ("colour = 1", "character 1"),
        ("  ", "empty"),
        ("", "empty"),
    ],
)
async def test_a_filter_that_cannot_be_read_selects_nothing_and_says_where(console: Console, text: str, words: str) -> None:
    await settle(await console.filled(2), 1, Door.DEAD, "404")
    for path, more in (("dead/resend", {}), ("dead/discard", {}), ("replay", {"to": "orders", "since_s": 0})):
        answer = await console.post(path, {"filter": text, **more}, status=400)
        assert answer["error"]["code"] == "bad_filter"
        assert words in answer["error"]["message"]
    for path in ("dead", "dead/export"):
        await console.get(f"{path}?{urlencode({'filter': text})}", status=400)
    assert ((await console.get("dead"))["total"], (await console.get("jobs"))["jobs"]) == (1, [])


@pytest.mark.parametrize(
    "body", [{"cod": "404"}, {"ids": ["1"]}, {"ids": [True]}, {"since_s": "x"}, {"message_ids": "m-1"}, {"dry_run": 1}, {"ids": [2**70]}]
)
async def test_a_misspelled_selection_selects_nothing(console: Console, body: Any) -> None:
    consumer = await console.filled(1)
    await settle(consumer, 1, Door.DEAD, "404")
    await console.post("dead/discard", body, status=400)
    assert (await console.get("dead"))["total"] == 1


async def test_an_export_holds_every_letter_once_whatever_the_page(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.control.operate.PAGE", 4)
    consumer = await console.filled(9)
    for seq in range(1, 10):
        outcomes = tuple(Outcome(f"send-{unit}", Door.DEAD, "400", 1, 1.0, 0.0, 400) for unit in range(1 + seq % 3))
        await consumer.settle([Settlement(seq, "web", outcomes, ("u1",))])
    lines = [json.loads(line) for line in (await console.get("dead/export")).splitlines()]
    told = [(one["id"], one["subscription_id"]) for one in lines]
    assert told == [(seq, f"send-{unit}") for seq in range(1, 10) for unit in range(1 + seq % 3)]
    assert {(one["message_id"], one["payload"]["messageId"]) for one in lines} == {(f"m-{seq}", f"m-{seq}") for seq in range(1, 10)}


async def test_a_replay_is_counted_then_started_over_what_the_live_cursor_has_passed(console: Console) -> None:
    consumer = await console.filled(4)
    for seq in (1, 2, 3):
        await settle(consumer, seq, Door.DELIVERED)
    assert await console.post("replay", {"to": "orders", "since_s": 0, "dry_run": True}) == {"count": 3, "estimate_s": 0.04, "exact": True}
    started = await console.post("replay", {"to": "orders", "since_s": 0, "source": "web", "rate": 5}, status=202)
    assert started == {"count": 3, "job": "orders#1"}
    assert console.actors.refreshed == 1
    cursor = await console.outbox.cursor("orders#1")
    assert cursor
    assert (cursor.pos, cursor.end, cursor.state["replay"]["rate"]) == (0, 3, 5)
    job = (await console.get("jobs"))["jobs"][0]
    assert [job[key] for key in ("name", "destination", "finished", "done", "total")] == ["orders#1", "orders", False, 0, 3]
    stream = await console.outbox.open("orders#1")
    for seq in (1, 2, 3):
        await settle(stream, seq, Door.DELIVERED)
    job = (await console.get("jobs"))["jobs"][0]
    assert [job[key] for key in ("finished", "done", "doors")] == [True, 3, {"delivered": 3}]


async def test_two_replays_at_once_are_two_jobs(console: Console) -> None:
    await settle(await console.filled(1), 1, Door.DELIVERED)
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(console.post("replay", {"to": "orders", "since_s": 0}, status=202)) for _ in range(4)]
    assert {task.result()["job"] for task in asked} == {f"orders#{number}" for number in range(1, 5)}


@pytest.mark.parametrize(
    ("body", "status"),
    [({"to": "orders"}, 400), ({"since_s": 0}, 400), ({"to": "nowhere", "since_s": 0}, 404), ({"to": "crm", "since_s": 0}, 409),
     ({"to": "orders", "since_s": 9e11}, 404), ({"to": "orders", "since_s": 0, "source": "nowhere"}, 404),
     ({"to": "orders", "since_s": 0, "source": "app"}, 409), ({"to": "orders", "since_s": 0, "rate": -1}, 400)],
)  # fmt: skip
async def test_a_replay_that_cannot_be_is_refused(console: Console, body: Any, status: int) -> None:
    await settle(await console.filled(1), 1, Door.DELIVERED)
    await console.post("replay", body, status=status)
    assert (await console.get("jobs"))["jobs"] == []


async def test_an_events_story_tells_each_destinations_part(console: Console) -> None:
    consumer = await console.filled(4)
    await settle(consumer, 1, Door.DELIVERED)
    await settle(consumer, 2, RETRY, "ETIMEDOUT")
    states = {}
    for number in (1, 2, 3):
        told = (await console.get(f"events?message_id=m-{number}"))["events"][0]
        states[number] = told["destinations"][0]["state"]
        assert (told["seq"], told["source"]["slug"], told["payload"]["event"]) == (number, "web", "Ordered")
    assert states == {1: "delivered", 2: "retry", 3: "pending"}
    second = (await console.get("events?message_id=m-2"))["events"][0]["destinations"][0]
    assert (second["attempts"][0]["code"], second["rows"][0]["state"], second["rows"][0]["due_s"] > 0) == ("ETIMEDOUT", "retry", True)
    await console.get("events?message_id=never", status=404)


async def test_a_reload_makes_a_version_and_tells_the_actors(console: Console) -> None:
    console.candidate = replace(WORKSPACE, destinations=WORKSPACE.destinations[:1])
    told = await console.post("reload")
    assert told["warnings"][0]["message"] == "a warning"
    assert console.actors.used == [told["workspace_version"]] == [console.current.compiled.version]
    assert [one["slug"] for one in (await console.get("status"))["destinations"]] == ["orders"]


async def test_a_bad_configuration_keeps_the_old_one_and_says_where(console: Console) -> None:
    before, console.problem = console.current.compiled, "unknown setting"
    told = (await console.post("reload", status=400))["error"]
    assert told["problems"] == [{"message": "unknown setting", "file": "relay.toml", "line": 7, "remedy": "mend it"}]
    assert console.current.compiled is before
    assert console.actors.used == []
    assert "relay_config_last_reload_successful 0.0" in await console.ask("GET", "/metrics", token="")


async def test_status_says_what_the_ready_line_says(console: Console) -> None:
    told = await console.get("status")
    assert [told[key] for key in ("version", "tracking_url", "workspace_version", "role")] == ["1.0", "http://127.0.0.1:8000", 1, "admin"]
    assert [(one["slug"], one["state"]) for one in told["destinations"]] == [("orders", "running"), ("crm", "disabled")]
