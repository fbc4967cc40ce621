"""Selective sync: which rows a warehouse is not sent, what is refused, and how it is explained."""

from pathlib import Path
from typing import Any

import pytest

from relay.base.event import Event
from relay.kit.selection import Excluded
from relay.kit.warehouse import rows_of, tables_of
from relay.pipeline.decision import Drop
from relay.pipeline.stages.selection import compile_selection
from tests.support.rules import event, mistakes, workspace_of

POSTGRES = {"type": "postgres", "settings": {"host": "h", "database": "d", "user": "u"}}
EVENTS = [
    event(), event("identify", traits={"phone": "1", "plan": "a"}), event("identify", userId=None, anonymousId="a"), event("page", name="Home"),
    event("group", groupId="g", traits={"size": 1}), event("group"), event("alias", previousId="p"), event("screen", name="S"),
]  # fmt: skip


def excluded(*entries: str) -> dict[str, Any]:
    return POSTGRES | {"sync": {"exclude": list(entries)}}


@pytest.mark.parametrize("given", EVENTS, ids=lambda one: one.type)
def test_the_tables_of_an_event_are_those_of_its_rows(given: Event) -> None:
    assert list(tables_of(given)) == [row.table for row in rows_of(given, 0.0)]


def test_tables_and_columns_are_left_out_of_the_rows() -> None:
    rows = Excluded.of(("tracks", "users.phone", "order_completed.total")).select([row for one in EVENTS[:2] for row in rows_of(one, 0.0)])
    found = {row.table: set(row.values) for row in rows}
    assert set(found) == {"order_completed", "identifies", "users"}
    assert "total" not in found["order_completed"]
    assert "code" in found["order_completed"]
    assert "phone" in found["identifies"]
    assert "phone" not in found["users"]


def test_without_an_exclusion_rows_are_what_they_were() -> None:
    rows = rows_of(event(), 0.0)
    assert Excluded().select(rows) is rows
    assert compile_selection(()) is None


def test_an_event_whose_tables_are_all_excluded_goes_no_further() -> None:
    step = compile_selection(("tracks", "order_completed", "users.phone"))
    assert step is not None
    assert step(event()) == Drop("sync", "FILTERED_BY_RULES")
    assert step.tell(event()) == "not synced: tracks, order_completed"
    other = event(event="Other")
    assert step(other) is other
    assert step.tell(other) == "not synced: tracks"
    assert step.tell(EVENTS[1]) == "not synced: users.phone"
    assert step.tell(EVENTS[3]) == ""


@pytest.mark.parametrize(
    ("entry", "message", "remedy"),
    [
        ("Product Viewed", "is no name of a warehouse", "did you mean 'product_viewed'"),
        ("users.Phone", "is no name of a warehouse", "'phone'"),
        ("a.b.c", "neither a table nor a column", "users.phone"),
        ("users.", "neither a table nor a column", ""),
        ("users.id", "cannot be left out", "told apart"),
        ("tracks.received_at", "cannot be left out", ""),
    ],
)
def test_a_wrong_entry_is_refused(entry: str, message: str, remedy: str, tmp_path: Path) -> None:
    (told,) = mistakes(tmp_path, destination=excluded(entry))
    assert told.startswith('10: destination "hook", sync: ')
    assert message in told
    assert remedy in told.partition(" | ")[2]


def test_only_warehouses_are_synced(tmp_path: Path) -> None:
    assert workspace_of(tmp_path, destination=excluded("tracks", "users.phone")).destinations[0].sync_exclude == ("tracks", "users.phone")
    (told,) = mistakes(tmp_path, destination=excluded("tracks", "tracks"))
    assert "'tracks' is listed twice" in told
    (told,) = mistakes(tmp_path, destination={"sync": {"exclude": ["tracks"]}})
    assert "'sync' is for warehouses, which Webhook is not" in told
