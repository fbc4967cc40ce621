"""`relay plan` as a person types it: plans as files without a relay, and what a running relay says of them, over its real store."""

import asyncio
import contextlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay.cli import main
from tests.support.app import running, source, table

ORDER = {"type": "track", "event": "Order Completed", "userId": "u1", "properties": {"order_id": "A-1", "total": 3}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder without settings from outside."""
    for name in [name for name in os.environ if name.startswith("RELAY")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path  # type: ignore[return-value]


def said(*words: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["plan", *words])
    return code, out.getvalue(), err.getvalue()


def told(*words: str, code: int = 0) -> Any:
    """The document of --json."""
    ended, out, err = said(*words, "--json")
    assert ended == code, (out, err)
    return json.loads(out)


def test_a_plan_begins_with_a_template(folder: Path) -> None:
    assert "ecommerce" in [one["name"] for one in told("add", "--list")["templates"]]
    code, out, err = said("add", "chat", "--to", "plans/shop.json")
    assert (code, out.count("+ TRACK"), "add --write" in err) == (0, 4, True)
    assert not Path("plans").exists()
    assert said("add", "chat", "--to", "plans/shop.json", "--write")[0] == 0
    done = told("add", "identify", "--to", "plans/shop.json", "--write")
    assert done["written"]
    assert done["diff"]["added"] == [{"type": "IDENTIFY", "key": "", "version": 1}]
    assert not told("add", "chat", "--to", "plans/shop.json", "--write")["written"], "it has them already"
    assert told("check", "plans/shop.json") == {"ok": True, "rules": 5, "errors": []}
    assert said("add", "chats", "--to", "x.json")[0] == 4
    assert said("add", "chat")[0] == 2
    assert said("add", "chat", "--to", "x.csv", "--write")[0] == 2


def test_a_plan_goes_through_a_spreadsheet_and_back(folder: Path) -> None:
    said("add", "ecommerce", "--to", "shop.json", "--write")
    code, text, err = said("export", "shop.json", "--format", "csv")
    assert (code, err) == (0, "")
    Path("shop.csv").write_text(text, newline="")
    assert said("diff", "shop.json", "shop.csv")[0] == 0
    assert said("import", "shop.csv", "--to", "back.json")[0] == 0
    assert Path("back.json").read_text() == Path("shop.json").read_text() == said("export", "shop.json")[1]
    Path("shop.csv").write_text(text.replace("Product Viewed", "Product Seen"), newline="")
    assert said("import", "shop.csv", "--to", "back.json")[0] == 2, "nobody can be asked"
    assert said("import", "shop.csv", "--to", "back.json", "--yes")[0] == 0
    found = told("diff", "shop.json", "back.json", code=1)
    assert ([one["key"] for one in found["added"]], [one["key"] for one in found["removed"]]) == (["Product Seen"], ["Product Viewed"])
    assert '+ TRACK "Product Seen"' in said("diff", "shop.json", "back.json")[1]


def test_mistakes_have_their_places(folder: Path) -> None:
    Path("bad.csv").write_text("type,event,property,property_type\nTRACK,A,properties.x,string\nTRACK,A,properties.y,text\n")
    code, _, err = said("check", "bad.csv")
    assert code == 78
    assert "bad.csv:3: row 3, column property_type: 'text' is no type" in err
    assert told("check", "bad.csv", code=78)["errors"][0]["column"] == 5
    assert said("import", "bad.csv", "--to", "x.json")[0] == 78
    Path("bad.json").write_text('{"rules": [\n {"type": "TRACK"}\n]}')
    assert all(one["line"] == 2 for one in told("check", "bad.json", code=78)["errors"])
    assert said("diff", "bad.json", "bad.json")[0] == 78
    assert said("check", "none.json")[0] == 74


def test_what_a_table_cannot_say_is_warned_about(folder: Path) -> None:
    schema = {"type": "object", "additionalProperties": False}
    Path("a.json").write_text(json.dumps({"rules": [{"type": "TRACK", "key": "A", "jsonSchema": schema}]}))
    assert 'TRACK "A": additionalProperties' in said("export", "a.json", "--format", "csv")[2]


def test_events_of_a_file_are_judged(folder: Path) -> None:
    said("add", "ecommerce", "--to", "shop.json", "--write")
    lines: list[Any] = [ORDER, ORDER | {"properties": {"total": "3"}}, ORDER | {"event": "Own"}, {"type": "track", "userId": "u1"}]
    Path("events.ndjson").write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    found = told("test", "shop.json", "events.ndjson", code=1)
    assert [one["verdict"] for one in found["events"]] == ["ok", "violates", "unplanned", "refused"]
    assert {one["field"] for one in found["events"][1]["violations"]} == {"properties.order_id", "properties.total"}
    assert found["events"][3]["code"] == "event_not_defined"
    assert found["counts"] == {"ok": 1, "unplanned": 1, "violates": 1, "refused": 1}
    text = said("test", "shop.json", "events.ndjson")[1]
    assert "properties.order_id is required" in text
    Path("good.ndjson").write_text(json.dumps(ORDER))
    assert said("test", "shop.json", "good.ndjson")[0] == 0
    Path("bad.ndjson").write_text("{")
    assert said("test", "shop.json", "bad.ndjson")[0] == 2


async def test_a_running_relay_is_asked(folder: Path) -> None:
    (folder / "shop.json").write_text(json.dumps({"rules": [{"type": "TRACK", "key": "Bought", "jsonSchema": {"type": "object"}}]}))
    config = (
        source("web", plan="shop")
        + table("plan", {"slug": "shop", "file": "shop.json"})
        + table("destination", {"slug": "archive", "type": "archive"})
    )
    async with running(config, folder) as relay:
        for number in range(60):
            await relay.track("u1", "Bought", total=number, mail=f"u{number}@example.com")
        await relay.track("u1", "Sold 2026-01-31")
        await relay.settled("archive")

        async def ask(*words: str, code: int = 0) -> Any:
            where = ("--url", relay.app.ui_url, "--data", str(folder / "data"))
            return await asyncio.to_thread(lambda: told(*words, *where, code=code))

        assert [one["slug"] for one in (await ask("ls"))["plans"]] == ["shop"]
        assert (await ask("show", "shop"))["rules"][0]["seen_24h"] == 60
        assert [one["event"] for one in (await ask("drift", "shop"))["new_events"]] == ["Sold 2026-01-31"]
        inferred = await ask("infer", "web", "--since", "1h", "--write", "made.json")
        assert (inferred["events_read"], inferred["left_out"]) == (61, ["Sold 2026-01-31"])
        assert json.loads((folder / "made.json").read_text()) == inferred["content"]
        await ask("infer", "web", "--write", "made.json")
        (folder / "other.json").write_text(json.dumps({"rules": [{"type": "TRACK", "key": "Own", "jsonSchema": {}}]}))
        where = ("--url", relay.app.ui_url, "--data", str(folder / "data"))
        code, _, err = await asyncio.to_thread(lambda: said("infer", "web", "--write", "other.json", *where))
        assert (code, "1 rule that the plan of this source has not" in err) == (2, True)
        await ask("infer", "web", "--write", "other.json", "--yes")
        assert [one["version"] for one in (await ask("history", "shop"))["versions"]] == [1]
        assert not any((await ask("history", "shop", "--between", "1", "1"))["diff"].values())
        await ask_fails(relay.app.ui_url, folder)
        hinted = await relay.track("u1", "order completed", revenue="3")
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            assert await asyncio.to_thread(main, ["why", hinted, "--url", relay.app.ui_url, "--data", str(folder / "data")]) == 0
        assert "hint: event: Tools look for" in out.getvalue()
        assert "hint: properties.revenue: revenue must be a number" in out.getvalue()
        await relay.settled("archive")
    # the archive needs no relay
    found = await asyncio.to_thread(lambda: told("infer", "web", "--archive", "archive", "--data", str(folder / "data")))
    assert found["events_read"] == 62
    assert [rule for rule in found["content"]["rules"] if rule["key"] != "order completed"] == inferred["content"]["rules"]
    assert (await asyncio.to_thread(lambda: said("export", "shop")))[0] == 0
    assert (await asyncio.to_thread(lambda: said("diff", "shop", "made.json")))[0] == 1
    assert (await asyncio.to_thread(lambda: said("export", "none")))[0] == 4


async def ask_fails(url: str, folder: Path) -> None:
    where = ("--url", url, "--data", str(folder / "data"))
    assert (await asyncio.to_thread(lambda: said("show", "none", *where)))[0] == 4
    assert (await asyncio.to_thread(lambda: said("infer", "none", *where)))[0] == 4
