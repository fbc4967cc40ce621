"""The plans page against a running relay: what plans say, what traffic makes of them, and changes that go into their files."""

import io
import json
import os
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from relay.app import Seams
from relay.control.drift import DriftStore
from relay.workspace.plan_files import DRAFT
from tests.support.app import FastClock, Running, running, source, table, webhook
from tests.support.receiver import Receiver
from tests.support.waiting import eventually


def rule(key: str, *required: str, version: int = 1, **fields: Any) -> dict[str, Any]:
    inner = {"type": "object", "properties": fields, **({"required": list(required)} if required else {})}
    said = {"x-why": "to count", "x-owner": "shop@example.com", "x-destinations": ["archive"]}
    return {
        "type": "TRACK",
        "key": key,
        "version": version,
        "jsonSchema": {"$schema": DRAFT, **said, "type": "object", "properties": {"properties": inner}},
    }


PLAN = {"name": "kept", "rules": [rule("Bought", "total", total={"type": "number"}), rule("Gone", a={"type": "string"})]}


@dataclass
class Site:
    """A running relay with one plan, and the console asked as its owner."""

    relay: Running
    http: aiohttp.ClientSession
    file: Path

    async def ask(self, method: str, path: str, body: Any = None, status: int = 200, token: str = "") -> Any:
        headers = {"Authorization": f"Bearer {token or self.relay.app.cli_token}"}
        async with self.http.request(method, f"{self.relay.app.ui_url}/ui/api/{path}", json=body, headers=headers) as response:
            text = await response.text()
            assert response.status == status, text
            return json.loads(text)

    async def get(self, path: str, status: int = 200) -> Any:
        return await self.ask("GET", path, status=status)

    @property
    def content(self) -> Any:
        return json.loads(self.file.read_text())

    def fields(self, key: str) -> Any:
        """What the file plans of an event."""
        (found,) = [one for one in self.content["rules"] if one.get("key") == key]
        return found["jsonSchema"]["properties"]["properties"]["properties"]

    async def routed(self) -> None:
        """Until the router has passed everything."""

        async def passed() -> bool:
            cursor = await self.relay.app.outbox.cursor("router")
            return cursor is not None and cursor.pos == self.relay.app.outbox.head

        await eventually(passed)


CONFIG = source("web", plan="shop") + source("other") + table("plan", {"slug": "shop", "name": "Shop", "file": "plans/shop.json"})


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    file = tmp_path / "plans/shop.json"
    file.parent.mkdir()
    file.write_text(json.dumps(PLAN))
    async with running(CONFIG, tmp_path) as relay, aiohttp.ClientSession() as http:
        yield Site(relay, http, file)


async def test_a_plan_tells_its_rules_and_how_often_they_were_met_and_broken(site: Site) -> None:
    for total in (1, 2.5, "3"):
        await site.relay.track("u1", "Bought", total=total)
    await site.relay.track("u1", "Unheard")
    await site.relay.send([site.relay.event("u2", "Bought")], source="other")
    await site.routed()
    (listed,) = (await site.get("plans"))["plans"]
    assert listed == {
        "slug": "shop", "name": "Shop", "file": str(site.file), "rules": 2, "sources": ["web"], "violations_24h": 1, "editable": True,
    }  # fmt: skip
    told = await site.get("plans/shop")
    bought, gone = told["rules"]
    assert (bought["type"], bought["key"], bought["version"]) == ("TRACK", "Bought", 1)
    assert bought["jsonSchema"] == PLAN["rules"][0]["jsonSchema"]
    assert (bought["why"], bought["owner"], bought["destinations"]) == ("to count", "shop@example.com", ["archive"])
    assert (bought["seen_24h"], bought["violations_24h"]) == (3, 1)
    assert bought["last_seen_s"] > 0
    assert (gone["seen_24h"], gone["last_seen_s"], gone["violations_24h"]) == (0, None, 0)
    assert told["version"] == site.relay.app.current.compiled.version
    assert (await site.get("plans/none", 404))["error"]["code"] == "not_found"


async def test_violations_are_grouped_until_they_are_ignored(site: Site) -> None:
    await site.relay.track("u1", "Bought", total="3")
    await site.relay.track("u1", "Bought")
    await site.relay.track("u1", "Unheard")
    await site.routed()
    assert [one for one in (await site.get("overview"))["attention"] if one["href"] == "/ui/plans/shop"] == [
        {"level": "warn", "text": "Shop: 2 violations of the plan in 24 h", "href": "/ui/plans/shop"}
    ]
    told = await site.get("plans/shop/violations")
    assert {(one["event"], one["kind"]) for one in told["groups"]} == {("Bought", "Invalid Type"), ("Bought", "Required")}
    assert [one["event"] for one in told["unplanned"]] == ["Unheard"]
    assert (await site.get("plans/shop/violations?hours=3", 400))["error"]["code"] == "bad_request"

    ignore = {"action": "ignore", "type": "track", "event": "Bought", "field": "properties.total"}
    before = site.content
    tried = await site.ask("POST", "plans/shop/rules", ignore | {"dry_run": True})
    assert tried["diff"]["changed"][0]["changes"] == [{"path": "jsonSchema.x-ignore", "before": None, "after": ["properties.total"]}]
    assert site.content == before
    await site.ask("POST", "plans/shop/rules", ignore)
    await site.ask("POST", "plans/shop/rules", {"action": "ignore", "type": "track", "event": "Unheard"})
    told = await site.get("plans/shop/violations?hours=168")
    assert (told["groups"], told["unplanned"], told["ignored"]) == ([], [], 3)
    assert (await site.get("plans"))["plans"][0]["violations_24h"] == 0
    assert site.content["rules"][0]["jsonSchema"]["x-ignore"] == ["properties.total"]
    assert site.content["x-ignore"] == ["Unheard"]
    assert site.content["name"] == "kept"
    again = {"action": "ignore", "type": "track", "event": "Unheard"}
    assert (await site.ask("POST", "plans/shop/rules", again, 409))["error"]["code"] == "nothing_to_change"


async def test_a_change_goes_into_the_file_and_into_use_with_its_history(site: Site) -> None:
    os.chmod(site.file, 0o640)
    rules = [*PLAN["rules"][:1], rule("New", a={"type": "string"})]
    before = site.file.read_bytes()
    dry = await site.ask("PUT", "plans/shop", {"content": {"rules": rules}, "dry_run": True})
    assert site.file.read_bytes() == before
    done = await site.ask("PUT", "plans/shop", {"content": {"rules": rules}})
    assert done["diff"] == dry["diff"] == {
        "added": [{"type": "TRACK", "key": "New", "version": 1}], "removed": [{"type": "TRACK", "key": "Gone", "version": 1}], "changed": [],
    }  # fmt: skip
    assert done["version"] == dry["version"] + 1 == site.relay.app.current.compiled.version
    assert [one["key"] for one in site.content["rules"]] == ["Bought", "New"]
    assert site.content["name"] == "kept"
    assert stat.S_IMODE(site.file.stat().st_mode) == 0o640
    assert [path.name for path in site.file.parent.iterdir()] == ["shop.json"]
    assert [one["key"] for one in (await site.get("plans/shop"))["rules"]] == ["Bought", "New"]
    assert (await site.get("audit"))["audit"][0]["action"] == "plan.change"

    versions = (await site.get("plans/shop/history"))["versions"]
    assert [(one["version"], one["rules"], len(one["diff"]["added"])) for one in versions] == [(2, 2, 1), (1, 2, 2)]
    between = await site.get("plans/shop/history?since=2&until=1")
    assert between["diff"]["added"] == done["diff"]["removed"]
    await site.get("plans/shop/history?since=2", 400)
    await site.get("plans/shop/history?since=1&until=99", 404)
    await site.get("plans/none/history", 404)


async def test_mistakes_are_told_where_an_editor_shows_them_and_change_nothing(site: Site) -> None:
    before, version = site.file.read_bytes(), site.relay.app.current.compiled.version
    wrong = rule("Bad", a={"type": "text"})
    content = {"rules": [rule("Bought"), wrong]}
    answer = await site.ask("PUT", "plans/shop", {"content": content}, 400)
    assert answer["error"]["code"] == "bad_plan"
    (problem,) = answer["error"]["problems"]
    assert problem["at"] == "/rules/1/jsonSchema/properties/properties/properties/a/type"
    text = json.dumps(content, indent=2).splitlines()
    assert '"type": "text"' in text[problem["line"] - 1]
    for body in ({"content": []}, {"content": {"rules": 1}}, {"content": {}}, {"contents": {}}, {}):
        await site.ask("PUT", "plans/shop", body, 400)
    assert site.file.read_bytes() == before
    assert site.relay.app.current.compiled.version == version


async def test_the_largest_plan_goes_through(site: Site) -> None:
    rules = [rule(f"Event {number}", **{f"property_{n}": {"type": "string", "description": "x" * 60} for n in range(10)}) for number in range(2_000)]
    for sent, status in ((rules, 200), ([*rules, rule("One more")], 400)):
        body = io.BytesIO(json.dumps({"content": {"rules": sent}, "dry_run": True}).encode())
        headers = {"Authorization": f"Bearer {site.relay.app.cli_token}", "Content-Type": "application/json"}
        async with site.http.put(f"{site.relay.app.ui_url}/ui/api/plans/shop", data=body, headers=headers) as response:
            assert response.status == status, await response.text()
            told = await response.json()
        if status == 200:
            assert (len(told["diff"]["added"]), len(told["diff"]["removed"])) == (2_000, 2)
        else:
            assert "2,000" in told["error"]["message"]


async def test_a_configuration_that_is_broken_elsewhere_puts_the_old_plan_back(site: Site, tmp_path: Path) -> None:
    before = site.file.read_bytes()
    site.relay.configure(CONFIG + "\n[nonsense]\n")
    answer = await site.ask("PUT", "plans/shop", {"content": {"rules": []}}, 400)
    assert "nonsense" in answer["error"]["problems"][0]["message"]
    assert site.file.read_bytes() == before


async def test_a_file_that_cannot_be_written_is_named_with_its_place(site: Site, tmp_path: Path) -> None:
    site.file.unlink()
    answer = await site.ask("PUT", "plans/shop", {"content": {"rules": []}}, 409)
    assert answer["error"]["code"] == "read_only"
    assert str(site.file) in answer["error"]["message"]
    assert answer["error"]["file"] == str(tmp_path / "relay.toml")
    assert answer["error"]["line"] > 1
    assert (await site.get("plans"))["plans"][0]["editable"] is False


async def test_an_event_is_added_as_it_was_seen(site: Site) -> None:
    await site.relay.track("u1", "Heard", amount=1, tags=["a"])
    await site.relay.track("u1", "Bought", total="7", items=[{"sku": 1}])
    await site.routed()

    async def add(**order: str) -> Any:
        return await site.ask("POST", "plans/shop/rules", {"action": "add", "type": "track", **order})

    done = await add(event="Heard")
    assert done["diff"]["added"] == [{"type": "TRACK", "key": "Heard", "version": 1}]
    assert site.fields("Heard") == {"amount": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}}}
    await add(event="Bought", field="properties.total")
    assert site.fields("Bought")["total"] == {"type": ["number", "string"]}
    await add(event="Bought", field="properties.items.0.sku")
    assert site.fields("Bought")["items"]["items"]["properties"] == {"sku": {"type": "integer"}}
    for order, status in (
        ({"event": "Never"}, 404), ({"event": "Bought", "field": "properties.never"}, 404), ({"event": "Bought", "field": "properties..x"}, 400),
        ({"event": ""}, 400), ({"event": "Heard"}, 409),
    ):  # fmt: skip
        await site.ask("POST", "plans/shop/rules", {"action": "add", "type": "track", **order}, status)
    await site.ask("POST", "plans/shop/rules", {"action": "forget", "event": "x"}, 400)
    await site.ask("POST", "plans/shop/rules", {"action": "add", "type": "alias", "event": "x"}, 400)


async def test_an_event_is_blocked_at_the_sources_of_the_plan(site: Site, tmp_path: Path) -> None:
    before = site.file.read_bytes()
    block = {"action": "block", "type": "track"}
    told = await site.ask("POST", "plans/shop/rules", block | {"event": "Unheard", "dry_run": True})
    assert (told["blocked"], told["version"]) == (["web"], 1)
    told = await site.ask("POST", "plans/shop/rules", block | {"event": "Unheard"})
    assert told["blocked"] == ["web"]
    assert told["version"] == site.relay.app.current.compiled.version == 2
    message_id = await site.relay.track("u1", "Unheard")
    (story,) = (await site.get(f"events?message_id={message_id}"))["events"]
    assert (story["verdict"], story["code"], story["advice"][:15]) == ("blocked", "event_setting", "Allow the event")

    for call, name in (("track", "allowEventOnViolations"), ("identify", "allowTraitsOnViolations")):
        told = await site.ask("POST", "plans/shop/rules", block | {"type": call, "event": "Bought", "field": "properties.x"})
        assert told["toml"] == f"[source.schema]\n{call} = {{ {name} = false }}"
        assert [(one["source"], one["file"]) for one in told["sources"]] == [("web", str(tmp_path / "relay.toml"))]
    await site.ask("POST", "plans/shop/rules", block | {"type": "page", "event": "Home"}, 409)
    await site.ask("POST", "plans/shop/rules", block | {"type": "page", "field": "properties.x"}, 409)
    assert site.file.read_bytes() == before

    owned = CONFIG.replace('slug = "web"', 'slug = "web"\nschema = { events = { "Bought" = { enabled = true } } }')
    await site.relay.reload(owned)
    answer = await site.ask("POST", "plans/shop/rules", block | {"event": "Bought"}, 409)
    assert answer["error"]["code"] == "file_owned"


async def test_a_source_without_plan_gets_one_out_of_its_traffic(site: Site) -> None:
    await site.relay.send([site.relay.event("u1", "Sold", email="ann@example.com", size=number) for number in range(60)], source="other")
    told = await site.ask("POST", "plans/infer", {"source": "other"})
    assert told["events_read"] == 60
    assert told["plan"] == ""
    (made,) = told["content"]["rules"]
    inner = made["jsonSchema"]["properties"]["properties"]
    assert inner["properties"] == {"email": {"type": "string", "format": "email"}, "size": {"type": "integer"}}
    assert inner["required"] == ["email", "size"]
    assert "ann@example.com" not in json.dumps(told)
    assert told["diff"]["added"] == [{"type": "TRACK", "key": "Sold", "version": 1}]
    assert (await site.ask("POST", "plans/infer", {"source": "other", "since_s": 4e9}))["events_read"] == 0
    grown = await site.ask("POST", "plans/infer", {"source": "other", "plan": "shop"})
    assert [one["key"] for one in grown["content"]["rules"]] == ["Bought", "Gone", "Sold"]
    await site.ask("POST", "plans/infer", {"source": "none"}, 404)
    await site.ask("POST", "plans/infer", {"source": "other", "plan": "none"}, 404)
    await site.ask("POST", "plans/infer", {}, 400)


async def test_drift_is_told_kept_and_made_anew_when_its_day_is_over(site: Site) -> None:
    await site.relay.track("u1", "Unheard", a=1)
    await site.relay.track("u1", "Bought", total=1, coupon="x")
    first = await site.get("plans/shop/drift")
    assert [one["event"] for one in first["new_events"]] == ["Unheard"]
    assert first["missing_events"] == [{"type": "TRACK", "key": "Gone"}]
    assert [(one["property"], one["share"], one["types"]) for one in first["new_properties"]] == [("properties.coupon", 1.0, {"string": 1})]
    assert (first["unused_properties"], first["type_changes"], first["events_read"]) == ([], [], 2)
    await site.relay.track("u1", "Gone", a="x")
    await site.relay.app.drift.step()
    assert await site.get("plans/shop/drift") == first, "its day is not over"
    await site.ask("POST", "plans/shop/rules", {"action": "add", "type": "track", "event": "Unheard"})
    changed = await site.get("plans/shop/drift")
    assert (changed["new_events"], changed["missing_events"]) == ([], []), "the plan is another one"


async def test_each_day_every_plan_with_a_source_gets_a_new_report(tmp_path: Path) -> None:
    for name in ("shop", "free"):
        (tmp_path / f"{name}.json").write_text(json.dumps(PLAN))
    config = source("web", plan="shop") + "".join(table("plan", {"slug": name, "file": f"{name}.json"}) for name in ("shop", "free"))
    clock = FastClock()
    async with Receiver() as receiver, running(config + webhook("ops", receiver, sources=["relay"]), tmp_path, seams=Seams(clock=clock)) as relay:
        store = DriftStore(relay.app.database)
        await relay.track("u1", "Unheard")
        for day in range(2):
            await relay.app.drift.step()
            report = await store.get("shop")
            assert report is not None
            assert len(report["new_events"]) == (0 if day else 1), "the event is older than a day"
            assert report["at_s"] == pytest.approx(clock.now(), abs=60)
            clock.advance(86_401)
        assert await store.get("free") is None
        await relay.settled("ops")
        (told,) = receiver.bodies
        assert (told["event"], told["properties"]["text"]) == ("Plan Drift Reported", "1 event without a rule (Unheard)"), "told once"
        assert told["properties"]["url"].endswith("/ui/plans/shop?tab=drift")


async def test_a_viewer_reads_an_operator_decides_and_an_admin_rewrites(site: Site) -> None:
    async def token(role: str) -> str:
        return str((await site.ask("POST", "tokens", {"name": role, "role": role}, 201))["token"])

    viewer, operator = await token("viewer"), await token("operator")
    await site.ask("GET", "plans/shop", token=viewer)
    await site.relay.track("u1", "Bought", total="3")
    await site.routed()
    samples = [(await site.ask("GET", "plans/shop/violations", token=one))["groups"][0]["samples"] for one in (viewer, operator)]
    assert ["value" in sample for (sample,) in samples] == [False, True]
    schemas = [(await site.ask("GET", "sources/web/schema", token=one))["events"][0]["properties"] for one in (viewer, operator)]
    assert [{"sample" in field for field in fields} for fields in schemas] == [{False}, {True}]
    await site.ask("POST", "plans/shop/rules", {"action": "block", "event": "x"}, 403, viewer)
    await site.ask("POST", "plans/infer", {"source": "web"}, 403, viewer)
    await site.ask("POST", "plans/shop/rules", {"action": "block", "event": "x"}, token=operator)
    await site.ask("PUT", "plans/shop", {"content": PLAN}, 403, operator)


async def test_the_story_of_an_event_tells_how_it_breaks_its_plan(site: Site) -> None:
    broken, strange = await site.relay.track("u1", "Bought", total="3"), await site.relay.track("u1", "Unheard")
    (story,), (other,) = [(await site.get(f"events?message_id={one}"))["events"] for one in (broken, strange)]
    assert (story["plan"], story["is_unplanned"], other["violations"], other["is_unplanned"]) == ("shop", False, [], True)
    description = "Invalid type. Expected: number, given: string"
    assert story["violations"] == [{"type": "Invalid Type", "field": "properties.total", "description": description}]


async def test_the_story_of_an_event_has_hints(site: Site) -> None:
    message_id = await site.relay.track("u1", "order completed", revenue="10", currency="EUR")
    (story,) = (await site.get(f"events?message_id={message_id}"))["events"]
    assert {hint["code"] for hint in story["hints"]} == {"near_miss", "missing_core", "not_a_number"}
    assert all(set(hint) == {"code", "text", "path"} for hint in story["hints"])


async def test_a_long_log_is_read_in_pieces_spread_over_it(site: Site) -> None:
    for first in range(0, 3_000, 500):
        assert await site.relay.send([site.relay.event("u1", "Old" if number < 1_500 else "New") for number in range(first, first + 500)]) == 200
    reading = await site.relay.app.traffic.read(frozenset({"web"}), 0.0, most=1_000)
    assert reading.sampled
    assert 500 < reading.traffic.read <= 1_000
    assert {name for _, name in reading.traffic.events} == {"Old", "New"}
    whole = await site.relay.app.traffic.read(frozenset({"web"}), 0.0)
    assert (whole.sampled, whole.traffic.read) == (False, 3_000)
    assert (await site.relay.app.traffic.read(frozenset({"other"}), 0.0)).traffic.read == 0
