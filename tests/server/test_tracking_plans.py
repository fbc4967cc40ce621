"""Tracking plans in a running relay: what other sources hear, what is counted, what people see, and that a kill makes nothing twice."""

import base64
import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from relay.access.operator import Operator, Role
from relay.app import Seams
from relay.errors import ConfigError
from relay.kit.subjects import Subjects
from relay.outbox.interface import ROUTER
from relay.router.router import source as routed
from tests.crash.books import copy_store
from tests.support.app import FastClock, Running, running, source, table, webhook
from tests.support.live import viewer
from tests.support.process import RelayProcess
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

KEY = {"authorization": f"Basic {base64.b64encode(b'wk_web:').decode()}"}
SEATS = {"type": "object", "properties": {"seats": {"type": "integer"}, "code": {"type": "string"}}, "required": ["seats"]}
RULES = [
    {
        "type": "TRACK",
        "key": "Upgraded",
        "jsonSchema": {"x-owner": "billing", "x-ignore": ["properties.code"], "properties": {"properties": SEATS}},
        "version": 1,
    },
    {"type": "TRACK", "key": "Kept Here", "jsonSchema": {"x-destinations": ["all"]}},
    {"type": "PAGE", "jsonSchema": {"properties": {"properties": {"required": ["path"]}}}},
]


def plan(folder: Path, rules: list[dict[str, Any]] = RULES) -> str:
    (folder / "shop.json").write_text(json.dumps({"rules": rules}))
    return table("plan", {"slug": "shop", "name": "Shop", "file": "shop.json"})


def planned(**schema: Any) -> str:
    return source(plan="shop", schema=schema)


def of(receiver: Receiver, slug: str) -> list[dict[str, Any]]:
    return [one.json for one in receiver.requests if one.path == f"/{slug}"]


async def test_violations_and_blocked_events_reach_their_source_once(tmp_path: Path) -> None:
    strict = {"allowUnplannedEvents": False, "allowEventOnViolations": False}
    async with Receiver() as receiver:
        config = plan(tmp_path) + planned(track=strict, forwardingViolationsTo="quality", forwardingBlockedEventsTo="quality") + source("quality")
        config += webhook("all", receiver, sources=["web"]) + webhook("bad", receiver, sources=["quality"])
        async with running(config, tmp_path) as relay:
            await relay.track("u1", "Upgraded", seats=1)
            violating = await relay.track("u1", "Upgraded", seats="1", code=2)
            await relay.track("u1", "Other")
            await relay.settled("all", "bad")
            assert [one["event"] for one in of(receiver, "all")] == ["Upgraded"]
            told = Counter(one["event"] for one in of(receiver, "bad"))
            assert told == {"Violation Generated": 2, "Upgraded": 1, "Other": 1}
            first = next(one for one in of(receiver, "bad") if one["event"] == "Violation Generated")
            assert (first["properties"]["eventMessageID"], first["properties"]["violationType"]) == (violating, "Invalid Type")
            assert await relay.counted("all", "blocked") == {"schema_violation": 1, "unplanned": 1}
            assert await relay.doors("bad") == {"delivered": 4}


async def test_the_plan_of_the_other_source_blocks_nothing_again(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        strict = {"allowUnplannedEvents": False, "allowEventOnViolations": False}
        config = plan(tmp_path) + planned(track=strict, forwardingViolationsTo="quality", forwardingBlockedEventsTo="quality")
        config += source("quality", plan="shop", schema={"track": strict}) + webhook("bad", receiver, sources=["quality"])
        async with running(config, tmp_path) as relay:
            await relay.track("u1", "Upgraded")
            await relay.settled("bad")
            assert sorted(one["event"] for one in of(receiver, "bad")) == ["Upgraded", "Violation Generated"]


async def test_an_event_reaches_the_destinations_of_its_rule(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        config = plan(tmp_path) + planned(enforce_destinations=True) + webhook("all", receiver) + webhook("other", receiver)
        async with running(config, tmp_path) as relay:
            await relay.track("u1", "Kept Here")
            await relay.track("u1", "Upgraded", seats=1)
            await relay.settled("all", "other")
            assert ([one["event"] for one in of(receiver, "all")], [one["event"] for one in of(receiver, "other")]) == (
                ["Kept Here", "Upgraded"], ["Upgraded"],
            )  # fmt: skip
            assert await relay.counted("other", "filtered") == {"FILTERED_BY_RULES": 1}


async def test_live_rows_tell_how_often_an_event_breaks_its_plan(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        config = plan(tmp_path) + planned(track={"allowUnplannedEvents": False}) + webhook("all", receiver)
        async with running(config, tmp_path) as relay:
            await relay.track("u1", "Upgraded", code=1)
            await relay.track("u1", "Upgraded", seats=1)
            await relay.track("u1", "Gone")
            await relay.settled("all")
            async with viewer(relay.app.ui_url, relay.app.cli_token) as everything:
                await everything.subscribe()
                await everything.until(lambda: len(everything.rows) == 3)
                found = [(row["name"], row["plan"], row["verdict"], row["code"]) for row in everything.rows.values()]
                assert sorted(found) == [("Gone", 0, "blocked", "unplanned"), ("Upgraded", 0, "accepted", None), ("Upgraded", 2, "accepted", None)]
            async with viewer(relay.app.ui_url, relay.app.cli_token) as past:
                await past.subscribe("plan:violated")
                await past.until(lambda: [row["plan"] for row in past.rows.values()] == [2])
                await relay.track("u2", "Upgraded", code=1)
                await past.until(lambda: [row["plan"] for row in past.rows.values() if row["user_id"] == "u2"] == [2])


async def test_violations_are_counted_by_event_type_and_field(tmp_path: Path) -> None:
    clock = FastClock()
    async with running(
        plan(tmp_path) + planned() + table("destination", {"slug": "keep", "type": "archive"}), tmp_path, seams=Seams(clock=clock)
    ) as relay:
        violations, since_s = relay.app.violations, clock.now() - 86_400
        for number in range(12):
            await relay.track(f"u{number}", "Upgraded", seats="secret")
        await relay.track("u1", "Unheard")
        await relay.send([relay.event("u1") | {"type": "page", "name": "Home", "properties": {"password": "x"}}])
        await relay.settled(ROUTER)
        first, second = await violations.groups(["web"], since_s)
        assert {key: first[key] for key in ("event", "type", "kind", "field", "description", "count", "sources")} == {
            "event": "Upgraded", "type": "track", "kind": "Invalid Type", "field": "properties.seats",
            "description": "Invalid type. Expected: integer, given: string", "count": 12, "sources": ["web"],
        }  # fmt: skip
        assert (sum(first["series"]), first["series"][-1]) == (12, 12)
        assert [one["value"] for one in first["samples"]] == ["secret"] * 10
        assert first["first_s"] <= first["last_s"] <= clock.now()
        assert (second["event"], second["type"], second["kind"], second["field"], second["count"]) == (
            "Home",
            "page",
            "Required",
            "properties.path",
            1,
        )
        (unplanned,) = await violations.unplanned(["web"], since_s)
        assert (unplanned["event"], unplanned["type"], unplanned["count"], unplanned["sources"]) == ("Unheard", "track", 1, ["web"])
        assert await violations.groups(["elsewhere"], since_s) == []
        assert await violations.totals(since_s) == {
            ("web", "track", "Upgraded", "properties.seats"): 12,
            ("web", "page", "Home", "properties.path"): 1,
        }
        counted = {key.code: count for key, count in (await relay.app.outbox.history.tallies(0, 1 << 31)).items() if key.stage == "violation"}
        assert counted == {"track": 12, "page": 1}
        clock.advance(31 * 86_400)
        await relay.track("u1", "Upgraded")
        await relay.settled(ROUTER)
        assert [one["count"] for one in await violations.groups(["web"], 0)] == [1], "30 days are kept"


async def test_violations_are_kept_over_a_restart(tmp_path: Path) -> None:
    config = plan(tmp_path) + planned()
    for count in (1, 2):
        async with running(config, tmp_path) as relay:
            await relay.track("u1", "Upgraded")
            await relay.settled(ROUTER)
            assert [one["count"] for one in await relay.app.violations.groups(["web"], 0)] == [count]


async def test_what_names_a_user_is_found_and_erased(tmp_path: Path) -> None:
    closed = {"type": "TRACK", "key": "Shared", "jsonSchema": {"properties": {"properties": {"additionalProperties": False}}}}
    async with running(plan(tmp_path, [closed]) + planned(), tmp_path) as relay:
        violations, users = relay.app.violations, Subjects(["user-7"])
        for _ in range(2):
            await relay.track("u1", "Shared", **{"user-7": 1})
            await relay.track("u1", "Greeted user-7")
            await relay.track("u1", "Shared", other=1)
            await relay.settled(ROUTER)
            assert await violations.find(users) == {"violations": 2}
            await violations.erase(users)
            assert await violations.find(users) == {"violations": 0}
        assert [(one["field"], one["count"]) for one in await violations.groups(["web"], 0)] == [("properties.other", 2)]
        assert await violations.unplanned(["web"], 0) == []


async def test_an_alert_about_violations_names_the_rule_and_its_owner(tmp_path: Path) -> None:
    rule = table("alerts.rule", {"name": "violations", "threshold": 3})
    async with Receiver() as receiver:
        config = plan(tmp_path) + planned() + webhook("ops", receiver, sources=["relay"]) + rule
        slack = {"slug": "chat", "type": "slack", "sources": ["relay"], "allow_private": receiver.allow, "settings": {"url": f"{receiver.url}/chat"}}
        config += table("destination", slack)
        async with running(config, tmp_path, settings=("alerts.check_every_s=0.25",)) as relay:
            for _ in range(3):
                await relay.track("u1", "Upgraded", code=1)
            await eventually(lambda: of(receiver, "ops") and of(receiver, "chat"), 20)
            properties = of(receiver, "ops")[0]["properties"]
            assert (properties["kind"], properties["owners"]) == ("violations", ["billing"])
            (offence,) = properties["offences"]
            assert offence == {
                "rule": 'TRACK "Upgraded"',
                "event": "Upgraded",
                "type": "track",
                "fields": ["properties.seats"],
                "count": 3,
                "owners": ["billing"],
            }
            assert properties["cause"] == 'TRACK "Upgraded": properties.seats, 3 events (owner: billing)'
            assert "billing" in json.dumps(of(receiver, "chat")[0])


async def settings_of(relay: Running) -> Any:
    async with aiohttp.ClientSession() as http, http.get(f"{relay.app.tracking_url}/v1/projects/wk_web/settings") as answer:
        return await answer.json()


async def test_the_browser_is_told_what_device_mode_may_send(tmp_path: Path) -> None:
    on, off = {"enabled": True, "integrations": {}}, {"enabled": False, "integrations": {}}
    keep = table("destination", {"slug": "keep", "type": "archive"})
    async with running(plan(tmp_path) + planned() + keep, tmp_path) as relay:
        assert (await settings_of(relay))["plan"]["track"] == {"__default": on}
        strict = {"track": {"allowUnplannedEvents": False}, "events": {"Upgraded": {"enabled": False}}}
        await relay.reload(plan(tmp_path) + planned(**strict) + keep)
        assert (await settings_of(relay))["plan"]["track"] == {"__default": off, "Upgraded": off, "Kept Here": on}


async def test_a_changed_plan_is_in_use_after_a_reload_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        config = plan(tmp_path) + planned(track={"allowEventOnViolations": False}) + webhook("all", receiver)
        async with running(config, tmp_path) as relay:
            version = relay.app.current.compiled.version
            await relay.track("u1", "Upgraded")
            (tmp_path / "shop.json").write_text('{"rules": [\n{"type": "TRACK", "key": "Upgraded", "jsonSchema": {"type": "strin"}}]}')
            with pytest.raises(ConfigError) as refused:
                await relay.app.publisher.reload(Operator("t", "tester", Role.ADMIN))
            (problem,) = refused.value.problems
            assert (problem.place.line, Path(problem.place.file).name) == (2, "shop.json")
            await relay.track("u1", "Upgraded")
            plan(tmp_path, [])
            await relay.reload(config)
            assert relay.app.current.compiled.version == version + 1
            arrived = await relay.track("u1", "Upgraded")
            await relay.settled("all")
            assert [one["messageId"] for one in of(receiver, "all")] == [arrived]


async def test_what_is_routed_again_makes_the_same_events(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        config = plan(tmp_path) + planned(
            track={"allowEventOnViolations": False}, forwardingViolationsTo="quality", forwardingBlockedEventsTo="quality"
        )
        async with running(config + source("quality") + webhook("bad", receiver, sources=["quality"]), tmp_path) as relay:
            for _ in range(3):
                await relay.track("u1", "Upgraded", code=1)
            await relay.settled("bad")
            outbox, compiled = relay.app.outbox, relay.app.current.compiled
            head = outbox.head
            again = [one for claim in (await outbox.history.past(head + 1, 500)).claims for one in routed(claim, compiled).derived]
            assert len(again) == 9
            assert all(one.duplicate for one in await outbox.append(again, internal=True))
            assert outbox.head == head


async def test_a_kill_makes_no_derived_event_twice(tmp_path: Path) -> None:
    """Killed while it routes: each violation and each blocked event is in the other source's log exactly once."""
    strict = {"allowEventOnViolations": False}
    config = plan(tmp_path) + planned(track=strict, forwardingViolationsTo="quality", forwardingBlockedEventsTo="quality") + source("quality")
    sent: list[str] = []
    async with RelayProcess(tmp_path, config) as relay, aiohttp.ClientSession(headers=KEY) as http:
        for life in range(4):
            for batch in range(3):
                ids = [f"m{life}-{batch}-{number}" for number in range(200)]
                made = [{"type": "track", "userId": "u", "event": "Upgraded", "messageId": one, "properties": {"code": 1}} for one in ids]
                async with http.post(f"{relay.tracking_url}/v1/batch", json={"batch": made}) as answer:
                    assert answer.status == 200
                sent += ids
            relay.kill()
            await relay.start()
        await eventually(lambda: len(derived_of(relay, tmp_path)) >= 3 * len(sent), 30, every_s=0.2)
        assert await relay.terminate() == 0
    derived = derived_of(relay, tmp_path)
    assert len(derived) == 3 * len(sent) == len({one["messageId"] for one in derived})
    assert Counter(one["properties"].get("eventMessageID") for one in derived) == Counter(dict.fromkeys(sent, 2) | {None: len(sent)})


def derived_of(relay: RelayProcess, folder: Path) -> list[dict[str, Any]]:
    """The events of the other source."""
    database = sqlite3.connect(copy_store(relay.data, folder / "copy"))
    rows = database.execute("SELECT body FROM log WHERE source = 'quality'").fetchall()
    database.close()
    return [json.loads(body) for (body,) in rows]
