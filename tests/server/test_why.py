"""Every ending an event can have, on a real relay: its story names the right state, stage and code, and `relay why` tells the same."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from relay.access.operator import SIGNAL
from relay.cli import main
from relay.cli.output import Output
from relay.cli.why import print_story
from tests.support.app import Running, running, source, table, webhook
from tests.support.receiver import Receiver, answer, reset, stall
from tests.support.waiting import eventually

TRACK = {"action": "send", "trigger": 'type = "track"'}
RULES = [
    {"type": "TRACK", "key": "Upgraded", "jsonSchema": {"properties": {"properties": {"properties": {"seats": {"type": "integer"}}}}}},
    {"type": "COMMON", "jsonSchema": {"properties": {"context": {"required": ["app"]}}}},
]
STRICT = {"allowUnplannedEvents": False, "allowUnplannedEventProperties": False, "allowEventOnViolations": False, "commonEventOnViolations": "BLOCK"}


async def story(relay: Running, message_id: str) -> dict[str, Any]:
    stories = await relay.app.why.by_message(message_id)
    assert stories, message_id
    return stories[-1]


async def at(relay: Running, message_id: str, slug: str) -> dict[str, Any]:
    return next(one for one in (await story(relay, message_id))["destinations"] if one["slug"] == slug)


async def ends(relay: Running, message_id: str, slug: str, state: str) -> dict[str, Any]:
    async def ended() -> Any:
        told = await at(relay, message_id, slug)
        assert told["state"] == state, told
        return told

    return await eventually(ended, 10)


@pytest.fixture
async def receiver():
    async with Receiver() as receiver:
        yield receiver


async def test_every_ending_is_told_with_its_code(receiver: Receiver, tmp_path: Path) -> None:
    receiver.by_path = {"/sick": answer(503), "/gone": answer(404, body=b"no such hook"), "/shut": answer(401)}
    config = "".join(
        (
            source(),
            source("app"),
            webhook("good", receiver, TRACK, sources=["web"]),
            webhook("sick", receiver, TRACK, sources=["web"], first_delay_s=600, max_delay_s=600),
            webhook("gone", receiver, TRACK, sources=["web"]),
            webhook("shut", receiver, TRACK, sources=["web"]),
            webhook("off", receiver, sources=["web"], enabled=False),
            webhook("pages", receiver, {"action": "send", "trigger": 'type = "page"'}, sources=["web"]),
            webhook("broken", receiver, {"action": "send", "trigger": 'type = "track"', "fields": {"headers": "text"}}, sources=["web"]),
            webhook("apps", receiver, TRACK, sources=["app"]),
        )
    )
    async with running(config, tmp_path) as relay:
        event = relay.event("u1") | {"integrations": {"apps": False}}
        assert await relay.send([event]) == 200
        first = event["messageId"]
        good = await ends(relay, first, "good", "delivered")
        assert (good["why"][:23], good["attempts"][0]["status"], good["rows"]) == ("Delivered on attempt 1:", 200, [])
        assert json.loads(good["planned"][0]["body"])["event"] == "Tested"
        sick = await ends(relay, first, "sick", "retry")
        assert (sick["code"], sick["rows"][0]["detail"]["response"]["status"], sick["next_s"] > 0) == ("503", 503, True)
        assert sick["rows"][0]["until_s"] > sick["next_s"]
        parked = await relay.track("u1")
        assert (await ends(relay, parked, "sick", "parked"))["code"] == "parked"
        gone = await ends(relay, first, "gone", "dead")
        assert (gone["code"], gone["rows"][0]["detail"]["response"]["body"]) == ("404", "no such hook")
        assert "HTTP 404" in gone["why"]
        shut = await ends(relay, first, "shut", "held")
        assert (shut["code"], bool(shut["advice"])) == ("credentials", True)
        for slug, state, code in (
            ("off", "filtered", "destination_disabled"),
            ("pages", "filtered", "NO_MATCHING_MAPPING"),
            ("broken", "dead", "PAYLOAD_VALIDATION_FAILED"),
        ):
            told = await ends(relay, first, slug, state)
            assert (told["code"], told["stages"][-1]["code"]) == (code, code)
        assert (await at(relay, first, "apps"))["state"] == "skipped"
        whole = await story(relay, first)
        assert (whole["verdict"], [stage["stage"] for stage in whole["stages"]]) == (
            "accepted", ["received", "validated", "normalized", "stored", "source"],
        )  # fmt: skip


async def told_by_the_terminal(relay: Running, message_id: str, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    """The story that `relay why --json` tells, and the text without `--json`."""
    remote = ["--url", relay.app.ui_url, "--token", relay.app.cli_token]
    assert await asyncio.to_thread(main, ["why", message_id, "--json", *remote]) == 0
    (story,) = json.loads(capsys.readouterr().out)["events"]
    assert await asyncio.to_thread(main, ["why", message_id, *remote]) == 0
    return story, capsys.readouterr().out


async def test_what_the_source_blocks_names_the_stage_the_rule_and_the_cure(
    receiver: Receiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shop.json").write_text(json.dumps({"rules": RULES}))
    drop = {"name": "No robots", "if": "properties.robot = true", "drop": True}
    schema = {"track": STRICT, "events": {"Debugged": {"enabled": False}}}
    config = table("plan", {"slug": "shop", "file": "shop.json"}) + source(plan="shop", schema=schema, transformation=[drop])
    app = {"context": {"app": {"name": "shop"}}}
    async with running(config + webhook("orders", receiver), tmp_path) as relay:
        cases = {
            "event_setting": ("schema", app, "Debugged", {}, "events of this name", "source's schema"),
            "unplanned": ("schema", app, "Upgradet", {}, 'the plan "shop" has no rule for this event', "Add a rule"),
            "schema_violation": ("schema", app, "Upgraded", {"seats": "two"}, "properties.seats: ", "context.protocols"),
            "unplanned_and_schema_violation": (
                "schema",
                app,
                "Upgraded",
                {"seats": "two", "x": 1},
                "not planned: properties.x",
                "Add the properties",
            ),
            "common_schema_violation": ("schema", {}, "Upgraded", {"seats": 2}, "context.app: ", "COMMON"),
            "FILTERED_BY_RULES": ("transform", app, "Upgraded", {"robot": True}, 'transformation 1 "No robots"', "the transformation is right"),
        }
        for code, (stage, more, name, properties, why, advice) in cases.items():
            event = relay.event("u1", name, **properties) | more
            assert await relay.send([event]) == 200
            at = await ends(relay, event["messageId"], "orders", "blocked")
            assert (at["code"], at["why"]) == (code, f"Blocked ({code}): at the source, so no destination gets it.")
            told, text = await told_by_the_terminal(relay, event["messageId"], capsys)
            assert (told["verdict"], told["code"], told["stages"][-1]["stage"], told["stages"][-1]["code"]) == ("blocked", code, stage, code), told
            assert told["why"].startswith(f"Blocked ({code}): ")
            assert (why in told["why"], advice in told["advice"]) == (True, True), told
            assert (told["why"] in text, told["advice"] in text) == (True, True), text
        assert await relay.counted("orders", "blocked") == dict.fromkeys(cases, 1)
    assert receiver.count == 0


async def test_what_a_rule_keeps_from_one_destination_names_the_stage_the_rule_and_the_cure(
    receiver: Receiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hooks: dict[str, dict[str, Any]] = {
        "filtered": {"filter": [{"title": "No parcels", "if": "event = 'Shipped'", "actions": [{"type": "DROP"}]}]},
        "sampled": {"filter": [{"if": "all", "actions": [{"type": "SAMPLE", "percent": 0}]}]},
        "transformed": {"transformation": [{"name": "Parcels", "if": "event = 'Shipped'", "drop": True}]},
        "consented": {"consent_categories": ["ads"]},
        "named": {},
        "switched": {},
        "bundled": {},
        "planned": {},
    }
    rule = {"type": "TRACK", "key": "Shipped", "jsonSchema": {"x-destinations": ["store", *(slug for slug in hooks if slug != "planned")]}}
    (tmp_path / "shop.json").write_text(json.dumps({"rules": [rule]}))
    schema = {"events": {"Shipped": {"integrations": {"named": False}}}, "enforce_destinations": True}
    server = {"host": "127.0.0.1", "port": 1, "database": "shop", "user": "relay", "tls": "disable"}
    store = {"slug": "store", "type": "postgres", "sync": {"exclude": ["tracks", "shipped"]}, "settings": server}
    config = table("plan", {"slug": "shop", "file": "shop.json"}) + source(plan="shop", schema=schema) + table("destination", store)
    config += "".join(webhook(slug, receiver, **options) for slug, options in hooks.items())
    rules, integrations = "FILTERED_BY_RULES", "FILTERED_BY_INTEGRATIONS_OBJECT"
    expected = {
        "filtered": ("filters", rules, 'filter 1 "No parcels"', "the filter is right"),
        "sampled": ("filters", rules, "filter 1: all: keeps 0 % of such events, and this is not one of them", "the filter is right"),
        "transformed": ("transform", rules, 'transformation 1 "Parcels"', "the transformation is right"),
        "consented": ("consent", "FILTERED_BY_END_USER_CONSENT", "the end user has not consented", "the end user decides"),
        "named": ("schema", integrations, "the source's schema keeps events of this name", "in the source's schema"),
        "switched": ("integrations", integrations, "the event's integrations object", "in the code that sends"),
        "bundled": ("integrations", "MESSAGE_SENT_CLIENT_SIDE", "the browser has sent", "the browser's bundle"),
        "planned": ("plan", rules, 'of the plan "shop" names other destinations', "x-destinations"),
        "store": ("sync", rules, "not synced: tracks, shipped", "sync table"),
    }
    async with running(config, tmp_path) as relay:
        event = relay.event("u1", "Shipped", parcel=7) | {
            "context": {"consent": {"categoryPreferences": {"ads": False}}}, "integrations": {"switched": False}, "_metadata": {"bundled": ["bundled"]},
        }  # fmt: skip
        assert await relay.send([event]) == 200
        for slug in expected:
            await ends(relay, event["messageId"], slug, "filtered")
        told, text = await told_by_the_terminal(relay, event["messageId"], capsys)
        assert (told["verdict"], told["code"], told["why"], told["advice"]) == ("accepted", "", "", "")
        for slug, (stage, code, why, advice) in expected.items():
            at = next(one for one in told["destinations"] if one["slug"] == slug)
            assert (at["code"], at["stages"][-1]["stage"], at["stages"][-1]["code"]) == (code, stage, code), at
            assert at["why"].startswith(f"Filtered ({code}): ")
            assert (why in at["why"], advice in at["advice"]) == (True, True), at
            assert (at["why"] in text, at["advice"] in text) == (True, True), text
    assert receiver.count == 0


async def test_a_suppressed_message_tells_why_and_nothing_of_its_user(receiver: Receiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running(source() + webhook("orders", receiver), tmp_path) as relay:
        await relay.app.forget.start(["u-hush"], "SUPPRESS_ONLY", SIGNAL)
        message_id = await relay.track("u-hush", "Secretly Bought", price=3)
        told, text = await told_by_the_terminal(relay, message_id, capsys)
        assert (told["verdict"], told["code"], told["payload"], told["user_id"], told["destinations"]) == ("suppressed", "suppressed", None, "", [])
        assert told["why"] == "Suppressed: the user is suppressed, so what they send is refused and not kept."
        assert told["advice"].startswith("Lift the suppression")
        assert told["why"] in text
        assert "u-hush" not in text + json.dumps(told)
        assert "Secretly" not in text + json.dumps(told)


async def test_a_switch_in_the_event_is_named(receiver: Receiver, tmp_path: Path) -> None:
    async with running(source() + webhook("orders", receiver), tmp_path) as relay:
        event = relay.event("u1") | {"integrations": {"orders": False}}
        await relay.send([event])
        told = await ends(relay, event["messageId"], "orders", "filtered")
        assert (told["code"], told["stages"][-1]["stage"]) == ("FILTERED_BY_INTEGRATIONS_OBJECT", "integrations")


async def test_a_delivery_after_a_retry_shows_both_attempts(receiver: Receiver, tmp_path: Path) -> None:
    receiver.script(reset(), answer(500))
    async with running(source() + webhook("orders", receiver), tmp_path) as relay:
        told = await ends(relay, await relay.track("u1"), "orders", "delivered")
        assert [(one["attempt"], one["result"], one["code"]) for one in told["attempts"]] == [
            (1, "retry", "ECONNRESET"), (2, "retry", "500"), (3, "delivered", "delivered"),
        ]  # fmt: skip


async def test_refused_messages_and_duplicates_have_a_story(receiver: Receiver, tmp_path: Path) -> None:
    async with running(source() + webhook("orders", receiver), tmp_path) as relay:
        first = await relay.track("u1")
        bad = {"type": "track", "userId": "u1", "messageId": "bad-1", "properties": {"password": "hush"}}
        assert await relay.send([bad, relay.event("u1") | {"messageId": first}]) == 200
        rejected = await story(relay, "bad-1")
        assert (rejected["verdict"], rejected["code"], rejected["event_id"], rejected["payload"]["properties"]) == (
            "rejected", "event_not_defined", "r1", {"password": "•••"},
        )  # fmt: skip
        assert rejected["stages"][-1]["outcome"] == "dropped"
        original, again = await relay.app.why.by_message(first)
        assert (original["verdict"], again["verdict"], again["original_event_id"]) == ("accepted", "duplicate", original["event_id"])
        assert await relay.app.why.by_id("r1") == rejected
        for unknown in ("e99", "r99", "x1", "e", "e-1", "e1x", "e²", ""):
            assert await relay.app.why.by_id(unknown) is None


async def test_a_person_retries_and_gives_up_one_event(receiver: Receiver, tmp_path: Path) -> None:
    receiver.script(answer(503), answer(400), answer(503), answer(200), answer(200))
    async with running(source() + webhook("orders", receiver, first_delay_s=600, max_delay_s=600), tmp_path) as relay:
        late, dead, lost = [await relay.track(f"u{number}") for number in range(3)]
        await ends(relay, late, "orders", "retry")
        await ends(relay, dead, "orders", "dead")
        await ends(relay, lost, "orders", "retry")
        operations = relay.app.operations
        seqs = {name: (await story(relay, name))["seq"] for name in (late, dead, lost)}
        assert await operations.retry_now("orders", seqs[late], SIGNAL) == 1
        await ends(relay, late, "orders", "delivered")
        assert await operations.retry_now("orders", seqs[dead], SIGNAL) == 1
        await ends(relay, dead, "orders", "delivered")
        assert await operations.give_up("orders", seqs[lost], SIGNAL) == 1
        assert (await relay.doors("orders"))["discarded"] == 1
        assert await operations.give_up("orders", seqs[lost], SIGNAL) == 0


async def test_an_attempt_on_its_way_is_told(receiver: Receiver, tmp_path: Path) -> None:
    receiver.script(stall(0.5))
    async with running(source() + webhook("orders", receiver), tmp_path) as relay:
        first, second = await relay.track("u1"), await relay.track("u1")
        told = await ends(relay, first, "orders", "sending")
        assert (told["why"], told["code"], told["next_s"]) == ("Attempt 1 is on its way.", "", None)
        assert (await at(relay, second, "orders"))["state"] == "pending"
        await ends(relay, first, "orders", "delivered")


async def test_a_dry_run_shows_the_request_and_a_real_one_sends_the_event_again(receiver: Receiver, tmp_path: Path) -> None:
    config = source() + webhook("orders", receiver, settings={"shared_secret": "hush-hush"})
    async with running(config, tmp_path) as relay:
        message_id = await relay.track("u1")
        await relay.settled("orders")
        told = await story(relay, message_id)
        rehearsed = await relay.app.why.rehearse(told["event_id"], "orders")
        (request,) = rehearsed["planned"]
        assert (request["method"], request["headers"]["X-Signature"], "hush-hush" in json.dumps(rehearsed)) == ("POST", "•••", False)
        assert receiver.count == 1
        await relay.app.replays.one("orders", told["seq"], SIGNAL)
        await eventually(lambda: receiver.count == 2)
        assert receiver.bodies[1]["context"]["replay"] is True
        assert receiver.bodies[1]["messageId"] == message_id


async def test_the_terminal_tells_the_same(receiver: Receiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    receiver.default = answer(404, body=b"no\x1b[31m such hook")
    async with running(source() + webhook("orders", receiver), tmp_path) as relay:
        message_id = await relay.track("u1", "Bought\x1b[2J")
        await ends(relay, message_id, "orders", "dead")
        print_story(await story(relay, message_id), Output(), show_requests=True)
        text = capsys.readouterr().out
        assert "\x1b" not in text
        assert "orders: dead  404" in text
        assert "attempt 1: dead HTTP 404" in text
        assert "would send POST" in text
        await asyncio.sleep(0)
