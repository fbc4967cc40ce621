"""What is learnt of a source's events: exact counts, bounded memory, a bounded number of events that are looked through, and no secrets."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from relay.base import jsonio
from relay.base.codes import Door
from relay.base.event import DELETED, Event, event_of
from relay.control import fieldbook as fieldbook_module
from relay.control.colors import Colors
from relay.control.fieldbook import EVENTS_MAX, FIRST, KEEP_MS, RATE, WAITING_MAX, Fieldbook
from relay.control.seen import FIELDS_MAX, NAME_MAX, VALUES_MAX, fields_of
from relay.control.seen_store import SeenStore
from relay.database.database import Database
from relay.kit.edits import split_path
from relay.kit.subjects import Subjects
from relay.pipeline.compiled import Current, compile_workspace
from relay.pipeline.decision import Drop, Sourced
from relay.workspace.model import Source, Workspace
from tests.support.inline_sqlite import InlineThread

START_S = 1_000_000.0
WEB = Source("web", "web", "Web", ("wk",))


class Clock:
    def __init__(self) -> None:
        self.at_s = START_S

    def now(self) -> float:
        return self.at_s

    def monotonic(self) -> float:
        return self.at_s


class Book:
    """A fieldbook, its clock and its table."""

    def __init__(self, database: Database) -> None:
        self.clock = Clock()
        self.database = database
        self.current = Current(compile_workspace(Workspace(1, (WEB,), ()), {}))
        self.seq = 0
        self.open()

    def open(self) -> None:
        self.book = Fieldbook(store=SeenStore(self.database), colors=Colors(self.current), clock=self.clock, mask_names=("secret",))

    def made(self, name: str = "Bought", *, kind: str = "track", drop: Drop | None = None, user: str = "u1", **parts: Any) -> Sourced:
        self.seq += 1
        payload = {"messageId": f"m{self.seq}", "type": kind, "event": name, "name": name, "userId": user} | parts
        return Sourced(self.seq, event_of(payload, "web", int(self.clock.at_s * 1000), jsonio.dumps(payload)), drop)

    def hear(self, *results: Sourced) -> None:
        self.book.routed(results)

    def seen(self, name: str = "Bought") -> Any:
        (found,) = [one for one in self.book.events("web") if one.name == name]
        return found

    async def again(self) -> None:
        """The next run of relay over the same table."""
        await self.book.flush(whole=True)
        self.open()
        await self.book.load()


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[Book]:
    database = await Database.open(tmp_path / "relay.db", clock=Clock(), on_fatal=lambda _: None, hop=InlineThread)
    yield Book(database)
    await database.close()


async def test_every_event_is_counted_by_its_name_with_what_was_blocked(book: Book) -> None:
    blocked, filtered = Drop("schema", "event_setting", Door.BLOCKED), Drop("source", "looped", Door.FILTERED)
    book.hear(*[book.made() for _ in range(3)], book.made(drop=blocked), book.made(drop=filtered), book.made("Home", kind="page"))
    book.clock.at_s += 5
    book.hear(book.made())
    seen = book.seen()
    assert (seen.type, seen.count, seen.blocked, seen.first_ms, seen.last_ms) == ("track", 6, 1, START_S * 1000, (START_S + 5) * 1000)
    assert (book.seen("Home").type, book.seen("Home").count) == ("page", 1)


async def test_what_the_router_brings_again_is_not_counted_twice(book: Book) -> None:
    results = [book.made() for _ in range(10)]
    book.hear(*results[:6])
    await book.again()
    book.hear(*results[:3])
    book.hear(*results[3:])
    assert book.seen().count == 10


async def test_what_is_of_no_source_is_left_out(book: Book) -> None:
    tombstone = Event("", "web", DELETED, "", "", "", 0, {}, b"")
    book.hear(Sourced(1, tombstone))
    payload = {"messageId": "m", "type": "track", "event": "Alert Fired"}
    book.hear(Sourced(2, event_of(payload, "relay", 0, jsonio.dumps(payload))))
    await book.book.digest()
    assert book.book.events("web") == book.book.events("relay") == []


async def test_names_beyond_the_bound_are_counted_together(book: Book) -> None:
    book.hear(*[book.made(f"n{number}") for number in range(EVENTS_MAX + 7)], book.made("n1"), book.made("x" * (NAME_MAX + 1)))
    rest = book.book.rest("web")
    assert (len(book.book.events("web")), book.seen("n1").count, rest and rest.count) == (EVENTS_MAX, 2, 8)
    await book.again()
    book.hear(book.made("one more"))
    rest = book.book.rest("web")
    assert (len(book.book.events("web")), rest and rest.count) == (EVENTS_MAX, 9)


async def test_fields_beyond_the_bound_are_counted_and_a_large_event_is_not_looked_through_to_its_end(book: Book) -> None:
    book.hear(book.made(properties={f"p{number}": 1 for number in range(FIELDS_MAX + 5)}))
    await book.book.digest()
    assert (len(book.seen().fields), book.seen().omitted) == (FIELDS_MAX, 5)
    book.hear(book.made("Huge", properties={"list": [{f"p{number}": 1 for number in range(VALUES_MAX)} for _ in range(3)]}))
    await book.book.digest()
    assert (len(book.seen("Huge").fields), book.seen("Huge").omitted) == (FIELDS_MAX, VALUES_MAX - FIELDS_MAX + 1)


async def test_all_fields_together_are_bounded(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fieldbook_module, "FIELDS_TOTAL", 10)
    book.hear(*[book.made(f"n{number}", properties={"a": 1, "b": 2, "c": 3}) for number in range(5)])
    await book.book.digest()
    assert sum(len(seen.fields) for seen in book.book.events("web")) == 10
    assert sum(seen.omitted for seen in book.book.events("web")) == 5


async def test_the_first_events_of_a_name_are_looked_through_then_some_a_second(book: Book) -> None:
    book.hear(*[book.made(properties={"n": number}) for number in range(FIRST)])
    await book.book.digest()
    assert (book.seen().walked, book.seen().fields["properties.n"].count) == (FIRST, FIRST)
    for _ in range(1_000):  # ten seconds, a hundred names, ten thousand events a second
        book.clock.at_s += 0.01
        book.hear(*[book.made(f"n{number}") for number in range(100)])
        await book.book.digest()
    walked = [seen.walked for seen in book.book.events("web") if seen.name != "Bought"]
    assert min(walked) >= FIRST
    assert RATE * 5 < sum(walked) - 100 * FIRST <= RATE * 11


async def test_what_waits_to_be_looked_through_is_bounded(book: Book) -> None:
    book.hear(*[book.made(f"n{number}", properties={"a": 1}) for number in range(WAITING_MAX + 50)])
    await book.book.digest()
    assert sum(seen.walked for seen in book.book.events("web")) == WAITING_MAX


async def test_a_frequent_name_leaves_room_for_others(book: Book) -> None:
    book.hear(*[book.made() for _ in range(FIRST)], *[book.made("Rare") for _ in range(FIRST)])
    await book.book.digest()
    for number in range(500):
        book.clock.at_s += 0.01
        book.hear(*[book.made() for _ in range(10)])
        if number % 100 == 50:
            book.hear(book.made("Rare"))
        await book.book.digest()
    assert (book.seen().walked - FIRST, book.seen("Rare").walked - FIRST) == (25, 5)


async def test_fields_are_told_with_types_and_a_masked_sample(book: Book) -> None:
    book.hear(
        book.made(properties={"price": 3, "secret_note": "s3cr3t", "items": [{"sku": "a"}, {"sku": 7}], "by": "u1", "a.b": None, "": True}),
        book.made(properties={"price": 2.5, "long": "x" * 100, "mail": "to ben@example.com"}, context={"ip": "10.0.0.1", "page": {"path": "/"}}),
    )
    await book.book.digest()
    fields = book.seen().fields
    assert {path: one.types for path, one in fields.items()} == {
        "properties.price": {"integer": 1, "number": 1},
        "properties.secret_note": {"string": 1},
        "properties.items": {"array": 1},
        "properties.items.sku": {"string": 1, "integer": 1},
        "properties.by": {"string": 1},
        "properties.a\\.b": {"null": 1},
        "properties.": {"boolean": 1},
        "properties.long": {"string": 1},
        "properties.mail": {"string": 1},
    }
    assert fields["properties.items.sku"].count == 1
    samples = {path.partition(".")[2]: one.sample for path, one in fields.items()}
    assert (samples["price"], samples["secret_note"], samples["by"], samples["items"], samples["mail"]) == (3, "•••", None, None, None)
    assert len(samples["long"]) < 70
    rest = book.book.rest("web")
    assert rest
    assert set(rest.fields) == {"context.ip", "context.page", "context.page.path"}


async def test_a_field_that_is_declared_red_loses_its_sample_with_all_below_it(book: Book) -> None:
    book.hear(book.made(traits={"card": {"number": "4111"}, "cards": "two"}))
    await book.book.digest()
    book.book.stain("web", "traits.card", "red")
    fields = book.seen().fields
    assert [(fields[path].color, fields[path].sample) for path in ("traits.card.number", "traits.cards")] == [("red", None), ("", "two")]
    book.hear(book.made(traits={"card": {"number": "4112"}}))
    await book.again()
    assert book.seen().fields["traits.card.number"].sample is None


async def test_decisions_of_the_workspace_reach_what_lies_below(book: Book) -> None:
    colors = {"web": {"properties.a": "yellow", "properties.b": "green"}}
    book.current.compiled = compile_workspace(replace(book.current.compiled.workspace, colors=colors), {})
    book.hear(book.made(properties={"a": {"c": "x"}, "ab": "y", "b": "z"}))
    await book.book.digest()
    told = {path: (one.color, one.sample) for path, one in book.seen().fields.items()}
    assert told["properties.a.c"] == ("yellow", None)
    assert (told["properties.ab"], told["properties.b"]) == (("", "y"), ("", "z"))


async def test_samples_of_a_forgotten_user_go(book: Book) -> None:
    users = Subjects(["user-77"])
    book.hear(
        book.made(user="user-77", properties={"note": "hello"}),
        book.made("Other", user="u2", properties={"friend": "is user-77", "note": "stays", "by": {"user-77": 1}}),
        book.made("Seen by user-77", user="u2"),
        book.made("Seen by user-770", user="u2"),
    )
    await book.book.flush()
    assert await book.book.find(users) == {"fields": 4}
    await book.book.erase(users)
    assert await book.book.find(users) == {"fields": 0}
    assert [one.name for one in book.book.events("web")] == ["Bought", "Other", "Seen by user-770"]
    assert book.seen().fields["properties.note"].sample is None
    other = book.seen("Other").fields
    assert {path: one.sample for path, one in other.items()} == {"properties.friend": None, "properties.note": "stays", "properties.by": None}
    text = await book.database.read(lambda connection: str(connection.execute("SELECT name, fields FROM seen").fetchall()))
    assert "user-77" not in text.replace("user-770", "") and "hello" not in text


async def test_everything_is_there_after_a_restart(book: Book) -> None:
    book.hear(book.made(properties={"a": 1}), book.made("Home", kind="page", context={"ip": "10.0.0.1"}))
    await book.book.digest()
    before = [str(replace(one, saved=0, saved_walked=0, grown=False)) for one in book.book.events("web")]
    await book.again()
    assert [str(replace(one, saved=0, saved_walked=0, grown=False)) for one in book.book.events("web")] == before
    assert book.book.rest("web")


async def test_counts_are_written_each_time_and_fields_when_they_are_new(book: Book) -> None:
    async def stored() -> tuple[int, int]:
        rows = await book.database.read(lambda connection: connection.execute("SELECT count, fields FROM seen WHERE type = 'track'").fetchall())
        return rows[0][0], jsonio.loads(rows[0][1])["properties.a"][2]

    book.hear(book.made(properties={"a": 1}))
    await book.book.flush()
    assert await stored() == (1, 1)
    book.hear(book.made(properties={"a": 2}))
    await book.book.flush()
    assert await stored() == (2, 1)
    book.hear(book.made(properties={"a": "text"}))
    await book.book.flush()
    assert await stored() == (3, 3)


async def test_what_nobody_sends_for_30_days_is_forgotten(book: Book) -> None:
    book.hear(book.made("Old"), book.made(properties={"old": 1}))
    await book.book.flush()
    book.clock.at_s += KEEP_MS / 1000 - 10
    book.hear(book.made(properties={"new": 1}))
    await book.book.digest()
    book.clock.at_s += 20
    await book.book.prune()
    assert [one.name for one in book.book.events("web")] == ["Bought"]
    assert list(book.seen().fields) == ["properties.new"]
    await book.again()
    assert [one.name for one in book.book.events("web")] == ["Bought"]


def test_paths_keep_a_dot_of_a_key_apart() -> None:
    paths = [path for path, _, _ in fields_of({"properties": {"a.b": {"c": 1}}, "traits": ["no object"]}, ("properties", "traits", "context"))]
    assert paths == ["properties.a\\.b", "properties.a\\.b.c"]
    assert split_path(paths[1]) == ("properties", "a.b", "c")
