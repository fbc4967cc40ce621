"""Any event becomes rows that fit: what the plan makes takes every value, and a second plan has nothing to do."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from relay.base.event import event_of
from relay.kit.warehouse import NAME_BYTES, Schema, apply, fit, loads_of, plan, rows_of

NAMES = st.sampled_from(["a", "aB", "a b", "id", "xmin", "users", "", "1"]) | st.text(max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
MOMENTS = st.datetimes().map(lambda moment: moment.isoformat() + "Z") | st.just("9999-12-31T23:59:59-14:00")
VALUES = st.recursive(SCALARS | MOMENTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8)
EVENTS = st.lists(st.tuples(st.sampled_from(["track", "identify", "page", "group"]), NAMES, st.dictionaries(NAMES, VALUES, max_size=5)), max_size=6)


def rows(events: list[tuple[str, str, dict[str, Any]]], first: int) -> list[Any]:
    made = []
    for number, (kind, name, values) in enumerate(events, first):
        payload = {"type": kind, "messageId": f"m{number}", "userId": "u", "groupId": name, "event": name, "name": name}
        payload |= {"properties": values, "traits": values, "context": values}
        made += rows_of(event_of(payload, "s", 1_767_225_600_000 + number, json.dumps(payload).encode("utf-8", "replace")), 1_767_225_600.0)
    return made


@given(EVENTS, EVENTS)
def test_every_value_finds_its_column(before: list[Any], after: list[Any]) -> None:
    schema = Schema()
    for batch in (rows(before, 0), rows(after, len(before))):
        apply(plan(batch, schema, columns=1_500), schema)
        assert plan(batch, schema, columns=1_500) == []
        for row in batch:
            columns = schema.tables[row.table]
            assert all(fit(column, value, columns[column]) is not None for column, value in row.values.items())
            assert all(0 < len(name.encode()) <= NAME_BYTES for name in (row.table, *row.values))
        loads = {load.table: load for load in loads_of(batch, schema)}
        assert all(len(set(load.ids)) == len(load.ids) for load in loads.values())
        assert set(loads) == {row.table for row in batch}
        tracks = [row for row in batch if row.table == "tracks"]
        assert not tracks or len(loads["tracks"].rows) == len(tracks)
