"""A plan out of events: what is always there, of which type, in which form; never more than was seen."""

import random
import tracemalloc
import uuid
from typing import Any

import pytest

from relay.base.event import Event
from relay.base.secret import MASK
from relay.control.infer import answer
from relay.kit.json_schema import compile_schema
from relay.kit.matchers import Matcher, with_standard
from relay.pipeline.inference import extended, facts, rule_of, with_field
from relay.pipeline.shapes import EVENT_FIELDS_MAX, EVENTS_MAX, EventShape, Traffic
from relay.workspace.plan_files import canonical, diff_plans, differs, schema_at
from tests.support.messages import event


def shape_of(*events: Event) -> EventShape:
    traffic = Traffic()
    for one in events:
        traffic.add(one)
    (shape,) = traffic.events.values()
    return shape


def shop(count: int = 200, seed: int = 1) -> list[Event]:
    """Orders of a known shape."""
    chance, events = random.Random(seed), []
    for number in range(count):
        order: dict[str, Any] = {
            "order_id": f"A-{number}",
            "total": 20 if number % 2 else 19.99,
            "price": 5,
            "count": number,
            "level": chance.choice(["gold", "silver", "bronze"]),
            "at": f"2026-01-{number % 28 + 1:02}T10:00:00Z",
            "mail": f"u{number}@example.com",
            "key": str(uuid.UUID(int=number)),
            "page": f"https://example.com/{number}",
            "products": [{"sku": f"s{number}", "quantity": 1}, {"sku": "t", "quantity": 2.0, "gift": True}],
            "coupon": None if number % 3 else "SAVE",
            "nested": {"deep": {"er": number}},
        }
        if number % 10 == 0:
            order["note"] = "x" * number
        events.append(event("Order Completed", at_ms=1_000 + number, **order))
    return events


def test_traffic_of_a_known_shape_gives_its_rule() -> None:
    schema = rule_of(shape_of(*shop()))["jsonSchema"]
    fields = schema["properties"]["properties"]["properties"]

    def of(name: str) -> Any:
        return {key: value for key, value in fields[name].items() if key != "description"}

    assert of("order_id") == {"type": "string"}
    assert of("total") == {"type": "number"}
    assert of("price") == {"type": "number"}, "a whole price is still a price"
    assert of("count") == {"type": "integer"}
    assert of("level") == {"type": "string", "enum": ["bronze", "gold", "silver"]}
    assert of("at") == {"type": "string", "format": "date-time"}
    assert of("mail") == {"type": "string", "format": "email"}
    assert of("key") == {"type": "string", "format": "uuid"}
    assert of("page") == {"type": "string", "format": "uri"}
    assert of("coupon") == {"type": ["string", "null"]}
    assert of("nested") == {
        "type": "object",
        "required": ["deep"],
        "properties": {"deep": {"type": "object", "required": ["er"], "properties": {"er": {"type": "integer"}}}},
    }
    assert sorted(fields["products"]["items"]["required"]) == ["quantity", "sku"]
    assert fields["products"]["items"]["properties"]["gift"]["type"] == "boolean"
    assert sorted(schema["properties"]["properties"]["required"]) == sorted(set(fields) - {"note"})


@pytest.mark.parametrize(
    "text",
    ["2026-01-31 10:00:00+00:00", "20260131T100000Z", "2026-W05-6T10:00:00Z", "2026-01-31T10:00:00Z", "A.b@x.io", "a@localhost", "mailto:x", "urn:a",
     "http://[::1]/", "http://a b", "urn:uuid:3f0c9a52-7b1e-4f5d-9c1d-000000000000", "3f0c9a52-7b1e-4f5d-9c1d-000000000000"],
)  # fmt: skip
def test_a_format_is_told_only_when_the_rule_takes_it(text: str) -> None:
    events = [event(a=text) for _ in range(20)]
    assert compile_schema(rule_of(shape_of(*events))["jsonSchema"]).is_valid(events[0].payload)


@pytest.mark.parametrize("seed", range(3))
def test_the_plan_takes_the_events_that_it_came_from(seed: int) -> None:
    events = shop(seed=seed)
    validator = compile_schema(rule_of(shape_of(*events))["jsonSchema"])
    assert all(validator.is_valid(one.payload) for one in events)


def test_a_field_is_required_from_99_of_100_on() -> None:
    def required(missing: int, count: int) -> bool:
        made = rule_of(shape_of(*(event(**({} if number < missing else {"a": 1})) for number in range(count))))
        return "a" in made["jsonSchema"]["properties"]["properties"].get("required", ())

    assert required(0, 50)
    assert not required(0, 49), "too few to know"
    assert required(1, 100)
    assert not required(2, 100)


def test_traits_are_never_required() -> None:
    made = rule_of(shape_of(*(event(kind="identify", plan="pro") for _ in range(100))))
    assert (made["type"], "key" in made) == ("IDENTIFY", False)
    assert "required" not in made["jsonSchema"]["properties"]["traits"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("many", [f"v{number % 30}" for number in range(100)]),
        ("few events", ["a", "b"] * 20),
        ("one value", ["a"] * 100),
        ("once", ["a"] * 99 + ["b"]),
        ("numbers", ["1", "2"] * 50),
        ("long", ["a" * 41, "b" * 41] * 50),
        ("city", ["Berlin", "Paris"] * 50),
        ("to", ["ann@example.com", "bob@example.com"] * 50),
    ],
)
def test_a_list_of_values_needs_good_evidence(name: str, values: list[str]) -> None:
    made = rule_of(shape_of(*(event(**{name: value}) for value in values)))
    assert "enum" not in made["jsonSchema"]["properties"]["properties"]["properties"][name]


def test_an_object_whose_keys_are_data_is_no_list_of_fields() -> None:
    made = rule_of(shape_of(*(event(counts={f"k{number}": 1}) for number in range(100))))
    assert schema_at(made["jsonSchema"], ("properties", "counts")) == {"type": "object"}


def test_pages_are_one_rule_and_alias_is_none() -> None:
    traffic = Traffic()
    for one in (event("Home", "page", path="/"), event("Cart", "page", path="/cart"), event("x", "alias")):
        traffic.add(one)
    assert [rule_of(shape)["type"] for shape in traffic.events.values()] == ["PAGE"]


def test_a_semantic_event_is_described_by_the_spec() -> None:
    schema = rule_of(shape_of(event("Order Completed", total=1, own=1)))["jsonSchema"]
    assert schema["x-why"]
    assert "description" in schema["properties"]["properties"]["properties"]["total"]
    assert "description" not in schema["properties"]["properties"]["properties"]["own"]


def test_what_a_plan_says_stays_when_it_grows() -> None:
    own = {"type": "TRACK", "key": "Bought", "version": 1, "jsonSchema": {"properties": {"properties": {"properties": {"a": {"type": "string"}}}}}}
    plan = {"name": "Shop", "rules": [own]}
    traffic = Traffic()
    for _ in range(60):
        traffic.add(event(a=1, b={"c": 1}))
        traffic.add(event("Sold", a=1))
    grown = extended(plan, traffic.events.values())
    found = diff_plans(plan, grown)
    assert grown["name"] == "Shop"
    assert found["added"] == [{"type": "TRACK", "key": "Sold", "version": 1}]
    assert [change["path"] for change in found["changed"][0]["changes"]] == ["jsonSchema.properties.properties.properties.b"]
    assert not differs(diff_plans(grown, extended(grown, traffic.events.values()))), "growing twice changes nothing"


def test_of_several_versions_none_is_guessed() -> None:
    plan = {"rules": [{"type": "TRACK", "key": "Bought", "version": version, "jsonSchema": {}} for version in (1, 2)]}
    assert extended(plan, [shape_of(event(a=1))]) == plan


@pytest.mark.parametrize(
    ("planned", "required", "seen", "after"),
    [
        (None, False, [1, 2], {"type": "integer"}),
        ({"type": "string"}, False, [1], {"type": ["string", "integer"]}),
        ({"type": "integer"}, False, [1.5], {"type": "number"}),
        ({"type": "string"}, False, [None], {"type": ["string", "null"]}),
        ({"type": "string", "enum": ["a", "b"]}, False, ["c", "a"], {"type": "string", "enum": ["a", "b", "c"]}),
        ({"type": "string", "enum": ["a", "b"]}, False, ["x" * 50], {"type": "string"}),
        ({"type": "string", "format": "email"}, False, ["nobody"], {"type": "string"}),
        ({"type": "string", "pattern": "^a$", "minLength": 1, "description": "d"}, False, ["b"], {"type": "string", "description": "d"}),
        ({"type": "string", "minLength": 1}, True, ["a", ...], {"type": "string", "minLength": 1}),
    ],
)
def test_a_rule_is_widened_to_what_was_seen(planned: Any, required: bool, seen: list[Any], after: Any) -> None:
    inner = {"properties": {} if planned is None else {"a": planned}, **({"required": ["a", "z"]} if required else {})}
    rule = {"type": "TRACK", "key": "Bought", "version": 1, "jsonSchema": {"properties": {"properties": inner}}}
    shape = shape_of(*(event(**({} if value is ... else {"a": value})) for value in seen))
    wide = with_field(rule, shape, ("properties", "a"))["jsonSchema"]["properties"]["properties"]
    assert wide["properties"]["a"] == after
    assert wide.get("required", []) == (["z"] if required else [])


def test_a_field_that_never_came_is_required_no_more() -> None:
    rule = {
        "type": "TRACK",
        "key": "Bought",
        "version": 1,
        "jsonSchema": {"properties": {"properties": {"properties": {"a": {}}, "required": ["a"]}}},
    }
    assert with_field(rule, shape_of(event()), ("properties", "a"))["jsonSchema"] == {"properties": {"properties": {"properties": {"a": {}}}}}


def test_items_of_a_list_are_planned_as_items() -> None:
    rule = {"type": "TRACK", "key": "Bought", "version": 1, "jsonSchema": {}}
    wide = with_field(rule, shape_of(event(products=[{"sku": 1}])), ("properties", "products", "$", "sku"))
    inner = {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "integer"}}}}
    assert schema_at(wide["jsonSchema"], ("properties", "products")) == inner


def test_examples_of_a_person_or_a_secret_are_masked() -> None:
    traffic = Traffic()
    traffic.add(
        event(
            email="ann@example.com", first_name="Ann", apiToken="s3cret", color="red", amount=3, address={"street": "Long Road"}, note="ann@example.com",
            product={"name": "Shoe"}, people=["ann@example.com"], badge="B-1",
        )
    )  # fmt: skip
    told = facts(traffic, ("token",), with_standard([Matcher("badge", "red", ("badge",))]))
    shown = {one["path"].removeprefix("properties."): one["examples"] for one in told[0]["properties"]}
    assert shown["color"] == ["red"]
    assert shown["amount"] == [3]
    assert shown["product.name"] == ["Shoe"]
    for name in ("email", "first_name", "apiToken", "address.street", "note", "people.$", "badge"):
        assert shown[name] == [MASK], name
    assert (told[0]["count"], told[0]["first_s"], told[0]["last_s"]) == (1, 1.0, 1.0)


def test_names_that_hold_an_id_are_left_out_and_named() -> None:
    traffic = Traffic()
    for name in ("Bought", "Viewed 839201", "Order 2026-01-31"):
        traffic.add(event(name))
    told = answer(traffic, {"rules": []}, ())
    assert [rule["key"] for rule in told["content"]["rules"]] == ["Bought"]
    assert told["left_out"] == ["Order 2026-01-31", "Viewed 839201"]
    assert told["content"] == canonical(told["content"])


def test_only_one_event_is_looked_at_when_only_one_is_wanted() -> None:
    traffic = Traffic(("track", "Sold"))
    for one in (event(), event("Sold"), event(kind="identify")):
        traffic.add(one)
    assert list(traffic.events) == [("track", "Sold")]
    assert traffic.read == 1


def test_memory_stays_flat_whatever_comes() -> None:
    traffic = Traffic()
    for number in range(EVENTS_MAX + 100):
        traffic.add(event(f"Name {number:x}g"))
    assert (len(traffic.events), traffic.truncated) == (EVENTS_MAX, True)
    one = Traffic()
    for number in range(EVENT_FIELDS_MAX + 50):
        one.add(event(**{f"k{number}": "v"}))
    assert next(iter(one.events.values())).fields == EVENT_FIELDS_MAX
    steady = Traffic()
    tracemalloc.start()
    try:
        for number in range(500):
            steady.add(event(text=f"{number}-" + "x" * 200, n=number))
        middle = tracemalloc.get_traced_memory()[0]
        for number in range(5_000):
            steady.add(event(text=f"{number}+" + "x" * 200, n=number))
        assert tracemalloc.get_traced_memory()[0] < middle + 50_000
    finally:
        tracemalloc.stop()
