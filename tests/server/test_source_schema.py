"""What a source has sent, and switching its events and traits: over a running relay."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from tests.support.app import source, webhook
from tests.support.console import console
from tests.support.receiver import Receiver

OWNED = source() + '[source.schema.events."Order Completed"]\nenabled = false\n[source.schema.traits]\nphone = false\n'


async def test_a_thousand_events_over_fifty_names_are_counted_right(tmp_path: Path) -> None:
    async with console(source(), tmp_path) as asked:
        events = [asked.relay.event(f"u{number}", f"Name {number % 50}", number=number, secret_note="x") for number in range(1_000)]
        for first in range(0, 1_000, 100):
            assert await asked.relay.send(events[first : first + 100]) == 200
        told = await asked.counted(1_000)
        assert len(told["events"]) == 50 and told["truncated"] == 0
        for one in told["events"]:
            assert (one["count"], one["allowed"], one["blocked"], one["state"], one["owner"]) == (20, 20, 0, "allowed", "")
            assert one["last_s"] >= one["first_s"] > 1e9
            assert (one["type"], one["planned"], one["destinations"]) == ("track", None, {"archive": True})
            properties = {field["path"]: field for field in one["properties"]}
            assert properties["properties.number"]["types"] == {"integer": one["sampled"]}


async def test_an_event_that_is_switched_off_is_told_and_survives_reload_and_restart(tmp_path: Path) -> None:
    async with console(source(), tmp_path) as asked:
        before = asked.relay.app.current.compiled.version
        told = await asked.put({"events": {"Spam": {"enabled": False}}, "traits": {"email": False}})
        assert [(one["name"], one["state"], one["owner"], one["count"], one["first_s"]) for one in told["events"]] == [
            ("Spam", "blocked", "ui", 0, None)
        ]
        assert told["traits"] == [{"name": "email", "state": "blocked", "owner": "ui", "place": None}]
        assert asked.relay.app.current.compiled.version == before + 1
        await asked.relay.app.reload()
        assert (await asked.event("Spam"))["state"] == "blocked"
        assert asked.relay.app.current.compiled.version == before + 1
        await asked.relay.track("u1", "Spam")
        await asked.counted(1)
        assert [(one["count"], one["allowed"], one["blocked"]) for one in (await asked.schema())["events"]] == [(1, 0, 1)]
        records = (await asked.ask("GET", "audit"))["audit"]
        assert ("source.schema", "web") in [(one["action"], one["subject"]) for one in records]
    async with console(source(), tmp_path) as asked:
        assert asked.relay.app.current.compiled.version == before + 1
        assert asked.relay.app.current.compiled.workspace.sources[0].schema.traits == {"email": False}
        assert ((await asked.event("Spam"))["state"], (await asked.event("Spam"))["count"]) == ("blocked", 1)
        told = await asked.put({"events": {"Spam": {"enabled": True}}, "traits": {"email": True}})
        assert ([(one["name"], one["state"], one["owner"]) for one in told["events"]], told["traits"]) == ([("Spam", "allowed", "")], [])


async def test_what_is_switched_off_is_blocked_from_then_on(tmp_path: Path) -> None:
    async with Receiver() as receiver, console(source() + webhook("one", receiver) + webhook("two", receiver), tmp_path) as asked:
        before = await asked.relay.track("u1", "Spam")
        await asked.relay.settled("one", "two")
        await asked.put({"events": {"Spam": {"enabled": False}, "Secret": {"integrations": {"one": False}}}, "traits": {"ssn": False}})
        blocked, secret = await asked.relay.track("u1", "Spam"), await asked.relay.track("u1", "Secret")
        person = {"type": "identify", "userId": "u1", "messageId": "i1", "traits": {"ssn": "078-05-1120", "plan": "pro"}}
        assert await asked.relay.send([person]) == 200
        await asked.relay.settled("one", "two")
        story = (await asked.relay.app.why.by_message(blocked))[0]
        assert (story["verdict"], story["code"]) == ("blocked", "event_setting")
        (told,) = [one for one in (await asked.relay.app.why.by_message(secret))[0]["destinations"] if one["slug"] == "one"]
        assert (told["state"], told["code"]) == ("filtered", "FILTERED_BY_INTEGRATIONS_OBJECT")
        got = {slug: [one.json for one in receiver.requests if one.path == f"/{slug}"] for slug in ("one", "two")}
        assert {slug: [body["messageId"] for body in bodies] for slug, bodies in got.items()} == {
            "one": [before, "i1"], "two": [before, secret, "i1"],
        }  # fmt: skip
        assert got["two"][-1]["traits"] == {"plan": "pro"}


async def test_what_a_file_says_cannot_be_switched_here(tmp_path: Path) -> None:
    async with console(OWNED, tmp_path) as asked:
        one = await asked.event("Order Completed")
        assert (one["state"], one["owner"], one["place"]) == ("blocked", "file", {"file": str(tmp_path / "relay.toml"), "line": 5})
        for body, line in (({"events": {"Order Completed": {"enabled": True}}}, 5), ({"traits": {"phone": True}}, 8)):
            error = (await asked.put(body, status=409))["error"]
            assert (error["code"], error["file"], error["line"]) == ("file_owned", str(tmp_path / "relay.toml"), line)
            assert f"relay.toml:{line}" in error["message"]


async def test_a_file_that_takes_over_an_event_wins_from_its_reload_on(tmp_path: Path) -> None:
    async with console(source(), tmp_path) as asked:
        await asked.put({"events": {"Order Completed": {"enabled": False}}})
        await asked.relay.reload(OWNED.replace("enabled = false", "enabled = true"))
        assert ((await asked.event("Order Completed"))["state"], (await asked.event("Order Completed"))["owner"]) == ("allowed", "file")
        assert "the file decides" in str((await asked.ask("GET", "status"))["warnings"])
        await asked.relay.reload(source())
        assert ((await asked.event("Order Completed"))["state"], (await asked.event("Order Completed"))["owner"]) == ("blocked", "ui")


async def test_a_change_goes_with_the_files_as_they_are_and_not_with_broken_ones(tmp_path: Path) -> None:
    async with console(source(), tmp_path) as asked:
        asked.relay.configure(OWNED)
        await asked.put({"events": {"Order Completed": {"enabled": True}}}, status=409)
        asked.relay.configure("nonsense")
        assert (await asked.put({"events": {"Spam": {"enabled": False}}}, status=400))["error"]["problems"]
        asked.relay.configure(source())
        assert (await asked.schema())["events"] == []


async def test_a_switch_for_one_destination_reaches_its_running_actor(tmp_path: Path) -> None:
    async with Receiver() as receiver, console(source() + webhook("one", receiver) + webhook("two", receiver), tmp_path) as asked:
        await asked.relay.track("u1", "Spam")
        await asked.relay.settled("one", "two")
        actors = dict(asked.relay.app.supervisor.actors)
        told = await asked.put({"events": {"Other": {"enabled": False}}})
        assert asked.relay.app.supervisor.actors == actors
        told = await asked.put({"events": {"Spam": {"integrations": {"one": False, "two": True}}}})
        assert told["events"][0]["destinations"] == {"one": False, "two": True}
        now = asked.relay.app.supervisor.actors
        assert (now["one"] is actors["one"], now["two"] is actors["two"]) == (False, True)
        assert now["one"].destination.schemas["web"].events["Spam"].integrations == {"one": False}


async def test_who_may_and_what_is_wrong(tmp_path: Path) -> None:
    async with console(source(), tmp_path) as asked:
        viewer = (await asked.ask("POST", "tokens", {"name": "v", "role": "viewer"}, status=201))["token"]
        body = {"events": {"Spam": {"enabled": False}}}
        assert (await asked.put(body, token=viewer, status=403))["error"]["code"] == "forbidden"
        await asked.ask("GET", "sources/web/schema", token=viewer)
        assert (await asked.put(body, slug="nowhere", status=404))["error"]["code"] == "not_found"
        await asked.ask("GET", "sources/nowhere/schema", status=404)
        for wrong in (
            {"event": {}}, {"events": []}, {"events": {"a": True}}, {"events": {"a": {"on": True}}}, {"events": {"a": {"enabled": 1}}},
            {"events": {"a": {"integrations": {"nowhere": False}}}}, {"events": {"a": {"integrations": {"archive": "no"}}}},
            {"events": {"": {"enabled": False}}}, {"events": {"x" * 201: {"enabled": False}}}, {"traits": {"a": "no"}}, {"traits": ["a"]},
        ):  # fmt: skip
            assert (await asked.put(wrong, status=400))["error"]["code"] == "bad_request", wrong
        assert (await asked.schema())["events"] == []


async def test_relay_diff_lays_the_switches_over_the_file_that_it_tries(tmp_path: Path) -> None:
    async with console(source(), tmp_path) as asked:
        await asked.relay.track("u1", "Spam")
        await asked.put({"events": {"Spam": {"enabled": False}}})
        words = ("--config", str(tmp_path / "relay.toml"), "--data", str(tmp_path / "data"), "--since", "1h", "--json")
        done = await asyncio.to_thread(subprocess.run, [sys.executable, "-m", "relay", "diff", *words], capture_output=True, text=True, check=False)
        told = json.loads(done.stdout)
        assert (done.returncode, told["read"], told["added"], told["dropped"]) == (0, 1, {}, {}), done.stderr
