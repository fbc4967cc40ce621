"""Events as rows: tables, columns, kinds, and how they widen."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from relay.base.event import DELETED, Event, event_of
from relay.kit.warehouse import (
    EVENT_TABLES,
    NAME_BYTES,
    TEXT_CHARS,
    Change,
    Kind,
    Row,
    Schema,
    apply,
    fit,
    kind_of,
    loads_of,
    plan,
    rows_of,
    snake_case,
    table_of,
)  # fmt: skip

AT_MS = 1_767_225_600_000
MOMENT = "2026-01-01T00:00:00.000Z"


def event(kind: str, **fields: Any) -> Event:
    payload = {"type": kind, "messageId": "m1", "timestamp": MOMENT} | fields
    return event_of(payload, "s", AT_MS, orjson.dumps(payload))


def rows(kind: str, **fields: Any) -> dict[str, dict[str, Any]]:
    return {row.table: dict(row.values) for row in rows_of(event(kind, **fields), AT_MS / 1000)}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Order Completed", "order_completed"), ("CStringRef", "cstring_ref"), ("sampleText", "sample_text"), ("Enabled 2FA", "enabled_2fa"),
        ("$something%", "something"), ("a_b", "a_b"), ("a__b", "a_b"), ("_a", "a"), ("iOS App", "i_os_app"), ("address1Line", "address1_line"),
        ("HTMLPage", "htmlpage"), ("2FA", "_2fa"), ("Größe cm", "größe_cm"), ("商品", "商品"), ("!?", ""), ("", ""), ("a.b-c/d", "a_b_c_d"),
        ('x"; DROP TABLE y', "x_drop_table_y"),
    ],
)  # fmt: skip
def test_names(text: str, name: str) -> None:
    assert snake_case(text) == name


def test_long_names_are_cut_and_stay_apart() -> None:
    first, second = snake_case("x" * 100 + " one"), snake_case("x" * 100 + " two")
    assert first != second
    assert all(len(name.encode()) <= NAME_BYTES for name in (first, second, snake_case("ä" * 90)))


def test_a_track_is_a_row_of_tracks_and_of_its_own_table() -> None:
    found = rows(
        "track", event="Order Completed", userId="u", context={"app": {"version": "1"}}, properties={"orderId": 7, "id": 9, "tags": [1, "b"]}
    )
    standard = {
        "id": "m1", "user_id": "u", "received_at": MOMENT, "uuid_ts": MOMENT, "timestamp": MOMENT, "context_app_version": "1",
        "event": "order_completed", "event_text": "Order Completed",
    }  # fmt: skip
    assert found == {"tracks": standard, "order_completed": standard | {"order_id": 7, "tags": '[1,"b"]'}}


def test_an_identify_is_a_row_and_the_users_newest_values() -> None:
    found = rows("identify", userId="u", anonymousId="a", traits={"address": {"street": "S"}, "userId": "other", "email": None})
    assert found["identifies"] == {
        "id": "m1", "anonymous_id": "a", "user_id": "u", "received_at": MOMENT, "uuid_ts": MOMENT, "timestamp": MOMENT, "address_street": "S",
    }  # fmt: skip
    assert found["users"] == {"id": "u", "received_at": MOMENT, "uuid_ts": MOMENT, "address_street": "S"}
    assert set(rows("identify", anonymousId="a", traits={"x": 1})) == {"identifies"}


def test_the_other_calls() -> None:
    assert rows("group", userId="u", groupId="g", traits={"plan": "x"})["accounts"]["id"] == "g"
    assert rows("group", userId="u", groupId="g", traits={"plan": "x"})["groups"]["group_id"] == "g"
    assert rows("page", name="Home", category="c", properties={"url": "/"})["pages"].items() >= {"name": "Home", "category": "c", "url": "/"}.items()
    assert rows("screen", name="Home")["screens"]["name"] == "Home"
    assert rows("alias", userId="u", previousId="p")["aliases"].items() >= {"user_id": "u", "previous_id": "p"}.items()
    assert rows_of(Event("", "s", DELETED, "", "", "", AT_MS, {}, b""), 0.0) == []


def test_an_event_named_like_a_table_of_the_layout_gets_its_own() -> None:
    assert table_of("Users") == "_users"
    assert table_of("!!!") == "_"
    assert [table_of(name) for name in ("Tracks Pkey", "E Received At Idx1", "Pkey", "Idx Made")] == [
        "tracks_pkey_", "e_received_at_idx1_", "pkey", "idx_made",
    ]  # fmt: skip
    assert set(rows("track", event="Tracks", userId="u")) == {"tracks", "_tracks"}


def test_a_column_that_postgresql_has_itself_gets_another_name() -> None:
    assert rows("track", event="E", userId="u", properties={"xmin": 1, "CTID": 2})["e"].items() >= {"_xmin": 1, "_ctid": 2}.items()


def test_what_lies_deep_becomes_text_and_zero_bytes_go() -> None:
    deep: Any = 1
    for _ in range(200):
        deep = {"a": deep}
    found = rows("track", event="E", userId="u", properties={"deep": deep, "zero": "a\0b", "big": 2**63})["e"]
    assert found["deep" + "_a" * 9].startswith('{"a":')
    assert (found["zero"], found["big"]) == ("ab", float(2**63))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, Kind.BOOLEAN), (1, Kind.INTEGER), (1.5, Kind.FLOAT), ("x", Kind.TEXT), (MOMENT, Kind.TIMESTAMP), ("2026-01-01", Kind.TEXT),
        ("2026-13-01T00:00:00Z", Kind.TEXT), ("0001-01-01T00:00:00+14:00", Kind.TEXT),
    ],
)  # fmt: skip
def test_the_first_value_gives_the_kind(value: Any, kind: Kind) -> None:
    assert kind_of("x", value) is kind
    assert fit("x", value, kind) is not None
    assert kind_of("id", value) is Kind.TEXT


@pytest.mark.parametrize(
    ("value", "kind", "held"),
    [
        (1, Kind.TEXT, "1"), (True, Kind.TEXT, "true"), (2.0, Kind.INTEGER, 2), (2.5, Kind.INTEGER, None), (True, Kind.INTEGER, None),
        (3, Kind.FLOAT, 3.0), ("3", Kind.FLOAT, None), (1, Kind.BOOLEAN, None), ("soon", Kind.TIMESTAMP, None), (1e300, Kind.INTEGER, None),
        (MOMENT, Kind.TIMESTAMP, datetime(2026, 1, 1, tzinfo=UTC)), ("y" * 600, Kind.TEXT, "y" * TEXT_CHARS),
    ],
)  # fmt: skip
def test_what_a_column_holds(value: Any, kind: Kind, held: Any) -> None:
    assert fit("x", value, kind) == held
    assert fit("user_id", "y" * 600, Kind.TEXT) == "y" * 600


def test_columns_appear_and_widen() -> None:
    schema = Schema()

    def written(*values: Any) -> list[Change]:
        changes = plan([Row("t", {"id": str(number), "x": value}) for number, value in enumerate(values)], schema, columns=100)
        apply(changes, schema)
        return changes

    assert written(1) == [Change("t", True, {"id": Kind.TEXT, "x": Kind.INTEGER})]
    assert written(2, 3.0) == []
    assert written(2.5) == [Change("t", False, {}, {"x": (Kind.INTEGER, Kind.FLOAT)})]
    assert written(2.5, "text", 1) == [Change("t", False, {}, {"x": (Kind.FLOAT, Kind.TEXT)})]
    assert written(True) == []
    assert schema.tables == {"t": {"id": Kind.TEXT, "x": Kind.TEXT}}


def test_one_batch_with_two_kinds_makes_the_wider_column_at_once() -> None:
    assert plan([Row("t", {"x": 1}), Row("t", {"x": True})], Schema(), columns=9) == [Change("t", True, {"x": Kind.TEXT})]
    assert plan([Row("t", {"x": 1}), Row("t", {"x": 1.5})], Schema(), columns=9) == [Change("t", True, {"x": Kind.FLOAT})]


def test_limits_of_columns_and_tables() -> None:
    schema = Schema({"t": {"id": Kind.TEXT, "a": Kind.TEXT}})
    assert plan([Row("t", {"id": "1", "b": 1, "c": 2})], schema, columns=3) == [Change("t", False, {"b": Kind.INTEGER})]
    assert schema.full == {"t"}
    crowded = Schema({f"t{number}": {} for number in range(EVENT_TABLES)})
    assert [change.table for change in plan([Row("new", {"id": "1"}), Row("tracks", {"id": "1"})], crowded, columns=9)] == ["tracks"]


def test_loads_hold_each_id_once_and_the_newest_values_of_a_user() -> None:
    schema = Schema(
        {"t": {"id": Kind.TEXT, "x": Kind.INTEGER}, "users": {"id": Kind.TEXT, "received_at": Kind.TIMESTAMP, "x": Kind.INTEGER, "y": Kind.INTEGER}}
    )
    late, early = "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"
    users = [Row("users", {"id": "u", "received_at": late, "x": 2}, True), Row("users", {"id": "u", "received_at": early, "x": 1, "y": 1}, True)]
    made, people = loads_of([Row("t", {"id": "1", "x": 1}), Row("t", {"id": "1", "x": 2}), Row("t", {"id": "2", "x": "no"}), *users], schema)
    assert (made.columns, made.rows) == (["id", "x"], [["1", 1], ["2", None]])
    assert dict(zip(people.columns, people.rows[0], strict=True)) == {"id": "u", "received_at": datetime(2026, 1, 2, tzinfo=UTC), "x": 2, "y": 1}
