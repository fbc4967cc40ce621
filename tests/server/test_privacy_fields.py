"""Sensitive fields as they come in: what the matchers take them for, what is done to them, and what a person decides."""

from pathlib import Path
from typing import Any

from tests.support.app import source, table, webhook
from tests.support.console import Console, console
from tests.support.receiver import Receiver

PERSON = {
    "type": "identify",
    "userId": "u1",
    "traits": {"email": "ann@example.com", "nick": "annie", "password": "hush-hush", "address": {"city": "Bern", "floor": 3}, "plan": "pro"},
    "context": {"ip": "203.0.113.7", "app": {"name": "Shop"}},
}
BOUGHT = {
    "type": "track",
    "userId": "u1",
    "event": "Bought",
    "properties": {"note": "call me at ben@example.com", "total": 3, "product": {"name": "Pen"}},
}


async def told(asked: Console) -> dict[str, Any]:
    assert await asked.relay.send([PERSON, BOUGHT]) == 200
    await asked.counted(2)
    found: dict[str, Any] = await asked.ask("GET", "privacy")
    return found


def by_path(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["path"]: row for row in rows}


async def test_fields_are_taken_for_what_they_are_and_only_those_that_matter_are_listed(tmp_path: Path) -> None:
    async with console(source(), tmp_path) as asked:
        view = await told(asked)
        found = by_path(view["inventory"])
        assert {path: (row["color"], row["matcher"], row["event"]) for path, row in found.items()} == {
            "traits.password": ("red", "password", "identify"),
            "traits.email": ("yellow", "email", "identify"),
            "traits.address": ("yellow", "address", "identify"),
            "traits.address.city": ("yellow", "address", "identify"),
            "traits.address.floor": ("yellow", "address", "identify"),
            "context.ip": ("yellow", "ip", ""),
        }
        assert view["inventory"][0]["path"] == "traits.password"
        assert all((row["source"], row["masked"], row["sample"], row["count"]) == ("web", True, None, 1) for row in view["inventory"])
        assert view["inbox"] == view["inventory"]
        assert {matcher["origin"] for matcher in view["matchers"]} == {"standard"} and len(view["matchers"]) > 35
        assert "hush-hush" not in str(view)
        properties = by_path(next(one for one in (await asked.schema())["events"] if one["type"] == "identify")["properties"])
        assert (properties["traits.email"]["color"], properties["traits.email"]["sample"]) == ("yellow", None)
        assert (properties["traits.nick"]["color"], properties["traits.nick"]["sample"]) == ("", "annie")


async def test_what_rules_do_is_told_with_their_own_matchers(tmp_path: Path) -> None:
    config = table("matcher", {"name": "nickname of ours", "color": "red", "synonyms": ["nick"]}) + source(
        privacy={"mask": ["traits.plan"], "hash": ["email"]}
    )
    async with Receiver() as receiver, console(config + webhook("crm", receiver, privacy={"block": ["yellow", "red"]}), tmp_path) as asked:
        view = await told(asked)
        found = by_path(view["inventory"])
        blocked = {"at": "destination:crm", "how": "block"}
        assert (found["traits.nick"]["color"], found["traits.nick"]["matcher"], found["traits.nick"]["done"]) == (
            "red",
            "nickname of ours",
            [blocked],
        )
        assert found["traits.email"]["done"] == [{"at": "source:web", "how": "hash"}, blocked]
        assert found["traits.address.floor"]["done"] == [blocked]
        assert [(rule["at"], rule["how"], rule["entry"]) for rule in view["rules"]] == [
            ("source:web", "mask", "traits.plan"),
            ("source:web", "hash", "email"),
            ("destination:crm", "block", "yellow"),
            ("destination:crm", "block", "red"),
        ]
        assert [matcher["origin"] for matcher in view["matchers"] if matcher["name"] == "nickname of ours"] == ["file"]


async def test_a_decision_shows_at_once_stays_and_never_unmasks(tmp_path: Path) -> None:
    async with console(source(), tmp_path) as asked:
        await told(asked)

        async def decide(path: str, color: str) -> dict[str, dict[str, Any]]:
            return by_path((await asked.ask("PUT", "privacy/fields", {"source": "web", "path": path, "color": color}))["inventory"])

        found = await decide("traits.email", "green")
        assert [found["traits.email"][key] for key in ("color", "decided", "masked", "sample")] == ["green", "green", True, None]
        found = await decide("traits.nick", "yellow")
        assert [found["traits.nick"][key] for key in ("color", "decided", "masked", "sample")] == ["yellow", "yellow", True, None]
        found = await decide("traits.nick", "green")
        assert [found["traits.nick"][key] for key in ("color", "masked", "sample")] == ["green", True, None]
        await decide("context.ip", "yellow")
        inbox = by_path((await asked.ask("GET", "privacy"))["inbox"])
        assert not {"traits.email", "traits.nick", "context.ip"} & set(inbox)
        records = [one for one in (await asked.ask("GET", "audit"))["audit"] if one["action"] == "privacy.field"]
        assert [one["detail"] for one in records][-1] == "traits.email: green"
    async with console(source(), tmp_path) as asked:
        found = by_path((await asked.ask("GET", "privacy"))["inventory"])
        assert [found[path]["color"] for path in ("traits.email", "traits.nick", "context.ip")] == ["green", "green", "yellow"]
        assert found["traits.nick"]["sample"] is None
        found = by_path((await asked.ask("PUT", "privacy/fields", {"source": "web", "path": "traits.email", "color": ""}))["inventory"])
        assert found["traits.email"]["color"] == "yellow"


async def test_a_field_that_is_decided_red_comes_under_the_rules_for_red(tmp_path: Path) -> None:
    config = source(privacy={"block": ["red"]}) + source("app")
    async with Receiver() as receiver:
        config += webhook("all", receiver) + webhook("crm", receiver, privacy={"mask": ["yellow"]})
        async with console(config, tmp_path) as asked:
            await asked.ask("PUT", "privacy/fields", {"source": "web", "path": "traits.nick", "color": "red"})
            await asked.ask("PUT", "privacy/fields", {"source": "web", "path": "traits.plan", "color": "yellow"})
            await asked.ask("PUT", "privacy/fields", {"source": "web", "path": "traits.email", "color": "green"})
            assert await asked.relay.send([PERSON]) == 200
            await asked.relay.settled("all", "crm")
            got = {one.path: one.json["traits"] for one in receiver.requests}
            assert got["/all"] == {"email": "ann@example.com", "address": {"city": "Bern", "floor": 3}, "plan": "pro"}
            assert got["/crm"] == {"email": "•••", "address": "•••", "plan": "•••"}
            found = by_path((await asked.ask("GET", "privacy"))["inventory"])
            assert found["traits.plan"]["done"] == [{"at": "destination:crm", "how": "mask"}]
            assert b"annie" not in (tmp_path / "data" / "relay.db").read_bytes()


async def test_who_may_decide_and_what_is_wrong(tmp_path: Path) -> None:
    async with console(source(), tmp_path) as asked:
        viewer = (await asked.ask("POST", "tokens", {"name": "v", "role": "viewer"}, status=201))["token"]
        good = {"source": "web", "path": "traits.nick", "color": "red"}
        await asked.ask("PUT", "privacy/fields", good, token=viewer, status=403)
        await asked.ask("GET", "privacy", token=viewer)
        await asked.ask("PUT", "privacy/fields", good | {"source": "nowhere"}, status=404)
        for wrong in (
            {"color": "blue"},
            {"path": "nick"},
            {"path": "userId.x"},
            {"path": "traits."},
            {"path": "traits." + "x" * 200},
            {"colour": "red"},
            {"path": 7},
        ):
            await asked.ask("PUT", "privacy/fields", good | wrong, status=400)
