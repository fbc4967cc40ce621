"""What the pages overview, sources and destinations are told by a relay that delivers, fails and filters: every shape, and sums that add up."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from relay.access.operator import SIGNAL
from relay.base.codes import CODES
from relay.control.measure import Rates
from relay.control.replay import ReplaySpec
from tests.support.app import Running, running, source, webhook
from tests.support.receiver import Receiver, answer, stall
from tests.support.waiting import eventually

SOURCE = {"slug", "name", "rate", "accepted", "rejected", "blocked", "duplicates", "last_event_s", "spark"}
DESTINATION = {
    "slug", "name", "type", "enabled", "state", "breaker", "held_by", "hold_code", "hold_status", "since", "accepted", "pending", "retry", "parked",
    "dead", "oldest_s", "balance_ok", "rate", "success", "attempts", "p95_ms", "spark", "sources", "can_read_back",
}  # fmt: skip
RULES = {"transformations", "privacy"}
FUNNEL = {"received", "failed_on_ingest", "filtered_at_source", "filtered_at_destination", "pending", "retry", "failed", "delivered", "by_code"}


@dataclass
class Asked:
    """A running relay and somebody with a token."""

    relay: Running
    http: aiohttp.ClientSession
    viewer: str

    async def ask(self, method: str, path: str, body: Any = None, *, token: str = "", status: int = 200) -> Any:
        headers = {"Authorization": f"Bearer {token or self.relay.app.cli_token}"}
        async with self.http.request(method, f"{self.relay.app.ui_url}/ui/api/{path}", json=body, headers=headers) as response:
            text = await response.text()
            assert response.status == status, text
            return json.loads(text) if response.content_type == "application/json" else text

    async def get(self, path: str, **more: Any) -> Any:
        return await self.ask("GET", path, **more)


def config(receiver: Receiver) -> str:
    """One good receiver, one that fails, one destination for which nothing matches; two sources."""
    purchases = {"name": "Purchases", "action": "send", "trigger": 'event = "Bought"'}
    return (
        source(name="Website") + source("app") + webhook("good", receiver, sources=["web", "app"])
        + webhook("bad", receiver, sources=["web"], order="none", settings={"signing_secret": ["whsec_" + "Y2FuYXJ5" * 6]})
        + webhook("filtered", receiver, purchases, sources=["web"])
    )  # fmt: skip


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Asked]:
    """20 events at `web`, one of them twice, and one that is refused; `bad` answers 500 to the first requests, then 400."""
    async with Receiver() as receiver, aiohttp.ClientSession() as http:
        bad = [answer(500, body=b"oops")] * 4

        async def behave(request: Any) -> Any:
            return await (bad.pop() if bad else answer(400, body=b'{"token":"canary","why":"no field"}'))(request)

        receiver.by_path["/bad"] = behave
        async with running(config(receiver), tmp_path) as relay:
            token = await http.post(
                f"{relay.app.ui_url}/ui/api/tokens", json={"name": "v", "role": "viewer"}, headers={"Authorization": f"Bearer {relay.app.cli_token}"}
            )
            made = Asked(relay, http, (await token.json())["token"])
            events = [
                relay.event(f"u{number}", "Viewed", password="canary") | {"context": {"library": {"name": "js", "version": "2"}}}
                for number in range(20)
            ]
            assert await relay.send([*events, events[0], {"type": "track", "userId": "u1"}]) == 200
            await relay.settled("good", "bad", "filtered")
            yield made


async def test_the_funnel_adds_up_to_the_books_of_each_destination(asked: Asked) -> None:
    for slug in ("good", "bad", "filtered"):
        balance = await asked.relay.balance(slug)

        async def told(slug: str = slug, accepted: int = balance.accepted) -> dict[str, Any]:
            detail = await asked.get(f"destinations/{slug}?period=1h")
            assert detail["funnel"]["received"] == accepted == 20
            return detail

        found = await eventually(told)
        funnel = found["funnel"]
        assert set(funnel) == FUNNEL
        assert funnel["received"] == sum(
            funnel[stage] for stage in ("filtered_at_source", "filtered_at_destination", "pending", "failed", "delivered")
        )
        doors = await asked.relay.doors(slug)
        assert (funnel["delivered"], funnel["failed"], funnel["filtered_at_destination"]) == (
            doors.get("delivered", 0), doors.get("dead", 0), doors.get("filtered", 0)
        )  # fmt: skip
        assert funnel["failed_on_ingest"] == 1
        assert funnel["by_code"]["failed_on_ingest"] == [{"code": "event_not_defined", "count": 1, "meaning": CODES["event_not_defined"]}]
        for stage, codes in funnel["by_code"].items():
            assert sum(one["count"] for one in codes) == funnel[stage] or stage == "retry"
        assert sum(point[1] for point in found["series"]) == funnel["delivered"]
        assert sum(point[2] for point in found["series"]) == funnel["failed"]
        assert (len(found["series"]), found["series"][1][0] - found["series"][0][0]) == (60, 60)


async def test_errors_tell_what_happened_and_show_samples_without_secrets(asked: Asked) -> None:
    async def told() -> dict[str, Any]:
        errors = {one["code"]: one for one in (await asked.get("destinations/bad?period=1h"))["errors"]}
        assert errors.keys() == {"500", "400"}
        return errors

    errors = await eventually(told)
    assert set(errors["400"]) == {"code", "status", "count", "first_s", "last_s", "state", "meaning", "advice", "samples"}
    assert (errors["500"]["status"], errors["500"]["count"], errors["500"]["state"]) == (500, 4, "over")
    assert (errors["400"]["status"], errors["400"]["count"], errors["400"]["state"]) == (400, 20, "dead")
    assert errors["400"]["meaning"] == "the receiver answered 400"
    assert errors["400"]["advice"]
    assert 1 <= errors["400"]["samples"] <= 10
    for written in (False, True):
        if written:
            await asked.relay.app.measure.flush()
        samples = (await asked.get("destinations/bad/samples?code=400"))["samples"]
        assert len(samples) == errors["400"]["samples"]
        one = samples[0]
        assert (one["status"], one["code"], one["result"], one["attempt"] >= 1, one["duration_ms"] > 0) == (400, "400", "dead", True, True)
        assert one["event_id"].startswith("e")
        assert one["message_id"].startswith("m")
        assert "canary" not in json.dumps(one)
        assert '"Viewed"' in one["request"]["body"]
        assert "no field" in one["response"]["body"]
    for_viewer = (await asked.get("destinations/bad/samples?code=400", token=asked.viewer))["samples"][0]
    assert for_viewer["request"]["body"] is None
    assert for_viewer["request"]["url"].endswith("/bad")
    stopped = (await asked.get("destinations/filtered/samples?code=NO_MATCHING_MAPPING"))["samples"]
    assert [(one["request"], one["result"]) for one in stopped] == [(None, "filtered")]
    await asked.get("destinations/bad/samples", status=400)
    await asked.get("destinations/nowhere/samples?code=400", status=404)


async def test_delivery_times_are_told_per_minute_before_and_after_they_are_written(asked: Asked) -> None:
    for _ in range(2):
        found = await asked.get("destinations/good?period=1h")
        told = [point for point in found["latency"] if point[1] is not None]
        assert len(found["latency"]) == 60
        assert 1 <= len(told) <= 2
        for _, p50, p95, p99 in told:
            assert 0 < p50 <= p95 <= p99 < 60_000
        assert 0 < found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"]
        await asked.relay.app.measure.flush()
    assert (await asked.get("destinations/filtered?period=1h"))["p95_ms"] is None


async def test_what_was_measured_is_there_after_a_restart(tmp_path: Path) -> None:
    async with Receiver() as receiver, aiohttp.ClientSession() as http:
        receiver.by_path["/bad"] = answer(404, body=b"nobody here")
        text = source() + webhook("good", receiver) + webhook("bad", receiver)
        async with running(text, tmp_path) as relay:
            await relay.track_many(5)
            await relay.settled("good", "bad")
        async with running(text, tmp_path) as relay:
            asked = Asked(relay, http, "")
            assert (await asked.get("destinations/good?period=24h"))["p95_ms"] > 0
            samples = (await asked.get("destinations/bad/samples?code=404"))["samples"]
            assert [one["response"]["body"] for one in samples] == ["nobody here"] * len(samples)
            error = (await asked.get("destinations/bad?period=24h"))["errors"][0]
            assert (error["code"], error["count"], error["samples"]) == ("404", 5, len(samples))
            found = (await asked.get("sources"))["sources"][0]
            assert (found["accepted"], found["rate"]) == (5, 0.0)
            assert time.time() - found["last_event_s"] < 1_000


async def test_the_overview_has_every_source_destination_and_edge(asked: Asked) -> None:
    async def told() -> dict[str, Any]:
        found = await asked.get("overview?period=1h", token=asked.viewer)
        assert found["dead_24h"] == 20
        return found

    found = await eventually(told, 15)
    assert set(found) == {
        "healthy", "in_rate", "out_rate", "oldest_s", "dead_24h", "blocked_rate", "period", "sources", "destinations", "edges", "attention",
    }  # fmt: skip
    assert (found["healthy"], found["period"], found["oldest_s"], found["blocked_rate"]) == (True, "1h", 0.0, 0.0)
    assert found["in_rate"] > 0
    assert found["out_rate"] > 0
    sources = {one["slug"]: one for one in found["sources"]}
    assert set(sources["web"]) == SOURCE
    assert {key: sources["web"][key] for key in ("accepted", "rejected", "blocked", "duplicates")} == {
        "accepted": 20, "rejected": 1, "blocked": 0, "duplicates": 1,
    }  # fmt: skip
    assert sources["app"]["last_event_s"] is None
    assert sources["web"]["last_event_s"] > 1e9
    assert (len(sources["web"]["spark"]), sum(sources["web"]["spark"])) == (24, 20)
    destinations = {one["slug"]: one for one in found["destinations"]}
    assert set(destinations["bad"]) == DESTINATION
    assert (destinations["good"]["success"], destinations["bad"]["success"], destinations["filtered"]["success"]) == (1.0, 0.0, None)
    assert destinations["good"]["sources"] == ["web", "app"]
    edges = {(one["source"], one["destination"]) for one in found["edges"]}
    assert edges == {("web", "good"), ("app", "good"), ("web", "bad"), ("web", "filtered")}
    assert ("bad", "/ui/destinations/bad") in {(one["level"], one["href"]) for one in found["attention"]}


async def test_a_source_is_told_with_its_events_libraries_and_refusals(asked: Asked) -> None:
    listed = (await asked.get("sources"))["sources"]
    assert [(one["slug"], one["write_keys"]) for one in listed] == [("web", ["wk_web"]), ("app", ["wk_app"])]
    assert set(listed[0]) == SOURCE | {"enabled", "origin", "write_keys"}
    assert listed[0]["origin"]["file"].endswith("relay.toml")
    assert all("write_keys" not in one for one in (await asked.get("sources", token=asked.viewer))["sources"])
    found = await asked.get("sources/web?period=1h")
    assert set(found) == set(listed[0]) | RULES | {"period", "destinations", "series", "codes", "events", "libraries", "tracking_url", "settings_url"}
    assert found["destinations"] == ["good", "bad", "filtered"]
    assert (len(found["series"]), sum(point[1] for point in found["series"]), sum(point[2] for point in found["series"])) == (60, 20, 1)
    assert {(one["code"], one["count"]) for one in found["codes"]} == {("event_not_defined", 1), ("duplicate", 1)}
    assert [(one["type"], one["name"], one["count"]) for one in found["events"]] == [("track", "Viewed", 20)]
    assert [(one["name"], one["version"], one["count"]) for one in found["libraries"]] == [("js", "2", 20)]
    assert found["settings_url"] == f"{found['tracking_url']}/v1/projects/wk_web/settings"
    assert "wk_web" not in json.dumps(await asked.get("sources/web", token=asked.viewer))
    await asked.get("sources/nowhere", status=404)
    await asked.get("sources/web?period=2h", status=400)


async def test_a_destination_is_told_with_its_setup_masked(asked: Asked) -> None:
    listed = (await asked.get("destinations"))["destinations"]
    assert {one["slug"] for one in listed} == {"good", "bad", "filtered"}
    assert listed[0]["definition"] == {"slug": "webhook", "name": "Webhook"}
    await asked.ask("POST", "destinations/filtered/hold", {})
    found = await asked.get("destinations/filtered")
    assert [(one["id"], one["name"], one["action"], one["trigger"], one["enabled"]) for one in found["mappings"]] == [
        ("purchases", "Purchases", "send", 'event = "Bought"', True)
    ]
    assert found["delivery"]["order"] == "user"
    assert found["delivery"]["retry"]["first_delay_s"] == 0.05
    assert found["eta_s"] is None
    assert [(one["operator"], one["action"]) for one in found["audit"]] == [("cli", "destination.hold")]
    assert (await asked.get("destinations/filtered", token=asked.viewer))["audit"] == []
    assert {one["name"]: one["value"] for one in found["settings"]}["url"].endswith("/filtered")
    assert "canary" not in json.dumps(await asked.get("destinations/bad"))
    for period, points in (("1h", 60), ("24h", 96), ("7d", 168), ("30d", 30)):
        assert len((await asked.get(f"destinations/good?period={period}"))["series"]) == points
    await asked.get("destinations/nowhere", status=404)


async def test_dead_letters_are_exported_line_by_line(asked: Asked) -> None:
    lines = [json.loads(line) for line in (await asked.get("dead/export?to=bad&code=400")).splitlines()]
    assert len({one["message_id"] for one in lines}) == len(lines) == 20
    assert {(one["destination"], one["code"], one["payload"]["event"]) for one in lines} == {("bad", "400", "Viewed")}
    assert "canary" not in json.dumps(lines)
    assert await asked.get("dead/export?to=good") == ""
    await asked.get("dead/export?to=nowhere", status=404)
    await asked.get("dead/export", token=asked.viewer, status=403)


async def test_a_hold_is_an_error_with_a_sample(tmp_path: Path) -> None:
    async with Receiver() as receiver, aiohttp.ClientSession() as http, running(source() + webhook("hook", receiver), tmp_path) as relay:
        receiver.default = answer(401, body=b"who are you")
        await relay.track_many(3)
        await relay.held("hook", "credentials")
        asked = Asked(relay, http, "")

        async def told() -> dict[str, Any]:
            found = await asked.get("destinations/hook?period=1h")
            assert [one["code"] for one in found["errors"]] == ["credentials"]
            return found

        found = await eventually(told)
        error = found["errors"][0]
        assert (error["state"], error["status"], error["samples"], found["eta_s"]) == ("held", 401, 1, None)
        assert (found["funnel"]["received"], found["funnel"]["pending"]) == (3, 3)
        sample = (await asked.get("destinations/hook/samples?code=credentials"))["samples"][0]
        assert (sample["result"], sample["status"], sample["response"]["body"]) == ("hold", 401, "who are you")
        attention = (await asked.get("overview"))["attention"]
        assert (attention[0]["level"], "401 or 403" in attention[0]["text"]) == ("bad", True)


async def test_a_backlog_that_shrinks_has_an_expected_end(tmp_path: Path) -> None:
    async with (
        Receiver() as receiver,
        aiohttp.ClientSession() as http,
        running(source() + webhook("hook", receiver, concurrency=1), tmp_path) as relay,
    ):
        asked = Asked(relay, http, "")
        await asked.ask("POST", "destinations/hook/hold", {})
        await relay.track_many(100)
        totals = relay.app.outbox.totals.counts
        await eventually(lambda: sum(count for key, count in totals.items() if key[2] == "source") == 100)
        relay.app.measure.rates = Rates(relay.app.outbox.totals, relay.app.measure.rates._clock)  # as if a minute had passed
        receiver.default = stall(0.02)
        await asked.ask("POST", "destinations/hook/resume", {})

        async def told() -> float:
            return (await asked.get("destinations/hook"))["eta_s"] or 0.0

        eta_s = await eventually(told)
        assert time.time() < eta_s < time.time() + 600
        await relay.settled("hook")
        assert (await asked.get("destinations/hook"))["eta_s"] is None


async def test_a_replay_is_estimated_and_can_be_stopped(tmp_path: Path) -> None:
    async with Receiver() as receiver, aiohttp.ClientSession() as http, running(source() + webhook("hook", receiver), tmp_path) as relay:
        asked = Asked(relay, http, "")
        await relay.track_many(60)
        await relay.settled("hook")
        dry = await asked.ask("POST", "replay", {"to": "hook", "since_s": 0, "rate": 10, "dry_run": True})
        assert dry == {"count": 60, "estimate_s": 6.0, "exact": True}
        receiver.default = stall(0.01)
        job = await relay.app.replays.start(ReplaySpec("hook", 0, rate=10), SIGNAL)
        await eventually(lambda: receiver.count > 62)
        stopped = await asked.ask("POST", f"jobs/{job.replace('#', '%23')}/cancel", {})
        assert 0 < stopped["discarded"] < 60

        async def finished() -> dict[str, Any]:
            one = (await asked.get("jobs"))["jobs"][0]
            assert one["finished"]
            return one

        told = await eventually(finished)
        assert told["cancelled_s"] > 1e9
        assert told["doors"]["discarded"] == stopped["discarded"]
        sent = receiver.count
        assert (await asked.ask("POST", f"jobs/{job.replace('#', '%23')}/cancel", {})) == {"discarded": 0}
        await relay.track_many(1)
        await relay.settled("hook")
        assert receiver.count <= sent + 2
        await asked.ask("POST", "jobs/hook/cancel", {}, status=404)
        await asked.ask("POST", "jobs/hook%239/cancel", {}, status=404)
