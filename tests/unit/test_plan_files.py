"""Plans as files: one stable JSON form, a difference that order does not touch, and a table that comes back as it was."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import ConfigError
from relay.workspace import templates
from relay.workspace.plan_files import DRAFT, canonical, diff_plans, differs, merged, path_keys, path_text, to_json, unwrapped
from relay.workspace.plan_sheet import COLUMNS, from_csv, losses, to_csv
from relay.workspace.rules import PlanRule


def rule(key: str = "Bought", kind: str = "TRACK", version: float = 1, **schema: Any) -> dict[str, Any]:
    return {"type": kind, "key": key, "version": version, "jsonSchema": {"$schema": DRAFT, "type": "object", **schema}}


def properties(*required: str, **fields: Any) -> dict[str, Any]:
    inner = {"type": "object", "properties": fields, **({"required": list(required)} if required else {})}
    return {"properties": {"properties": inner}}


def test_equal_plans_give_equal_files_whatever_their_order() -> None:
    first = {"rules": [rule("B", **properties("y", "x", x={"type": "string"}, y={})), rule("A"), rule("", "COMMON")]}
    second = {"rules": [rule("", "COMMON"), rule("A"), rule("B", **properties("x", "y", y={}, x={"type": "string"}))]}
    assert to_json(first) == to_json(second)
    assert [one.get("key", "") for one in json.loads(to_json(first))["rules"]] == ["A", "B", ""]
    assert not differs(diff_plans(first, second))


def test_what_a_plan_holds_beside_its_rules_stays() -> None:
    content = {"name": "Shop", "rules": [rule() | {"labels": {"team": "web"}, "x-owner": "web@example.com"}]}
    (made,) = canonical(content)["rules"]
    assert canonical(content)["name"] == "Shop"
    assert made["labels"] == {"team": "web"}
    assert made["jsonSchema"]["x-owner"] == "web@example.com"
    assert "x-owner" not in made


def test_a_difference_names_rules_and_values() -> None:
    before = {"rules": [rule("Same"), rule("Gone"), rule("New", version=2), rule("Bought", **properties("total", total={"type": "integer"}))]}
    after = {"rules": [rule("Same"), rule("New"), rule("New", version=2), rule("Bought", **properties(total={"type": "number"}, coupon={}))]}
    found = diff_plans(before, after)
    assert found["added"] == [{"type": "TRACK", "key": "New", "version": 1}]
    assert found["removed"] == [{"type": "TRACK", "key": "Gone", "version": 1}]
    (changed,) = found["changed"]
    at = "jsonSchema.properties.properties"
    assert changed["changes"] == [
        {"path": f"{at}.required", "before": ["total"], "after": None},
        {"path": f"{at}.properties.total.type", "before": "integer", "after": "number"},
        {"path": f"{at}.properties.coupon", "before": None, "after": {}},
    ]
    assert differs(found)
    assert not differs(diff_plans(before, before))


def test_true_is_not_one() -> None:
    assert differs(diff_plans({"rules": [rule(**properties(a={"const": 1}))]}, {"rules": [rule(**properties(a={"const": True}))]}))


def test_merging_keeps_the_rules_that_are_there() -> None:
    own = rule("Bought", description="ours")
    found = merged({"name": "x", "rules": [own]}, [rule("Bought"), rule("Sold")])
    assert found["name"] == "x"
    assert found["rules"] == [own, rule("Sold")]


@pytest.mark.parametrize(
    ("value", "rules"), [([], []), ({"rules": [1]}, [1]), ({"data": {"rules": []}}, []), ({}, None), ("x", None), ({"rules": 1}, None)]
)
def test_every_form_of_a_plan_is_brought_into_one(value: Any, rules: Any) -> None:
    found = unwrapped(value)
    assert (found["rules"] if found is not None else None) == rules


@given(st.lists(st.text(min_size=1).filter(lambda part: part == part.strip() and part != "$"), min_size=1))
def test_a_path_is_read_as_it_was_written(parts: list[str]) -> None:
    assert list(path_keys(path_text(parts))) == parts


def test_what_is_ignored_of_items_is_ignored_of_each_of_them() -> None:
    made = PlanRule("TRACK", {"x-ignore": ["properties.products.$.sku", "properties.a.1"]}, "Bought")
    assert all(made.ignores(field) for field in ("properties.products.0.sku", "properties.products.12.sku", "properties.a.1"))
    assert not any(made.ignores(field) for field in ("properties.products.0.name", "properties.a.2", "properties.products.sku"))


# tables


FULL = {
    "rules": [
        rule(
            "Order Completed",
            description='Sold, "really"',
            **{"x-why": "=1+1", "x-owner": ["web@example.com", "shop@example.com"], "x-destinations": ["ga4", "orders"]},
            properties={
                "context": {},
                "properties": {
                    "type": "object",
                    "required": ["order_id", "when"],
                    "properties": {
                        "order_id": {"type": "string", "pattern": "^[A-Z]{2}-\\d+$", "description": " with spaces \n and lines "},
                        "when": {"type": ["string", "null"], "format": "date-time"},
                        "level": {"type": "string", "enum": ["gold", "silver"]},
                        "step": {"enum": [1, "two", None, "a | b"]},
                        "odd.name\\": {"type": "boolean"},
                        "products": {"type": "array", "items": {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}}},
                        "tags": {"type": "array", "items": {"type": "string"}, "description": "words"},
                        "free": {"properties": {"inner": {"type": "integer"}}},
                    },
                },
            },
        ),
        rule("Order Completed", version=2),
        rule(
            "", "COMMON", properties={"context": {"type": "object", "required": ["ip"], "properties": {"ip": {"type": "string", "format": "ipv4"}}}}
        ),
    ]
}


def test_a_table_comes_back_as_the_plan_that_it_was() -> None:
    assert losses(FULL) == []
    assert from_csv(to_csv(FULL), "shop.csv") == canonical(FULL)


@pytest.mark.parametrize("name", templates.names())
def test_every_template_can_be_a_table(name: str) -> None:
    content = {"rules": templates.template(name)["rules"]}
    assert losses(content) == []
    assert from_csv(to_csv(content), "x.csv") == canonical(content)


def test_a_cell_that_a_spreadsheet_would_run_is_text() -> None:
    assert "'=1+1" in to_csv(FULL)
    content = {"rules": [rule(description="'=1"), rule("@x", description="-1")]}
    assert from_csv(to_csv(content), "x.csv") == canonical(content)


def test_what_a_table_cannot_say_is_named() -> None:
    inner = {"type": "string", "minLength": 2, "format": "own"}
    content = {"name": "x", "rules": [rule(**properties("gone", a=inner), additionalProperties=False) | {"labels": {}}]}
    name = 'TRACK "Bought"'
    assert losses(content) == [
        "the plan: name",
        f"{name}: labels",
        f"{name}: additionalProperties",
        f"{name}, properties: required gone",
        f"{name}, properties.a: minLength",
        f"{name}, properties.a: format",
    ]


def test_a_table_made_by_hand_needs_only_its_properties() -> None:
    text = "type,event,property,property_type,required\ntrack,Signed Up,properties.plan,string,yes\n,,,,\ntrack,Signed Up,properties.items.$.id,integer,\n"
    (made,) = from_csv(text, "x.csv")["rules"]
    assert made["key"] == "Signed Up"
    assert made["jsonSchema"] == {
        "$schema": DRAFT,
        "type": "object",
        "properties": {
            "properties": {
                "type": "object",
                "required": ["plan"],
                "properties": {
                    "items": {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "integer"}}}},
                    "plan": {"type": "string"},
                },
            }
        },
    }


@pytest.mark.parametrize(
    ("row", "column", "says"),
    [
        ("EVENT,a,1,properties.x,string", "type", "'EVENT' is no type of rule"),
        ("TRACK,,1,properties.x,string", "event", "needs the name of its event"),
        ("PAGE,Home,1,properties.x,string", "event", "has no event"),
        ("TRACK,a,zero,properties.x,string", "version", "'zero' is no version"),
        ("TRACK,a,0,properties.x,string", "version", "'0' is no version"),
        ("TRACK,a,1,properties..x,string", "property", "is no path"),
        ("TRACK,a,1,properties.x,text", "property_type", "'text' is no type"),
        ("TRACK,a,1,properties.x,email | uri", "property_type", "two formats"),
        ("TRACK,a,1,properties.x,string,maybe", "required", "neither yes nor no"),
        ("TRACK,a,1,properties.x,string,,[1", "enum", "cannot be read"),
        ("TRACK,b,1,properties.x,string", "property", "described twice"),
    ],
)
def test_a_mistake_in_a_table_names_row_and_column(row: str, column: str, says: str) -> None:
    text = ",".join(COLUMNS[:7]) + "\nTRACK,b,1,properties.x,string\n" + row + "\n"
    with pytest.raises(ConfigError) as caught:
        from_csv(text, "shop.csv")
    (problem,) = caught.value.problems
    assert problem.message.startswith(f"row 3, column {column}: "), problem
    assert says in problem.message
    assert problem.place is not None
    assert (problem.place.file, problem.place.line) == ("shop.csv", 3)
    assert problem.place.column == COLUMNS.index(column) + 1


def test_all_mistakes_of_a_table_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        from_csv("type,prop\nX,1\nTRACK,2\n", "x.csv")
    assert len(caught.value.problems) == 4, caught.value.problems
    with pytest.raises(ConfigError) as caught:
        from_csv('type,property\nTRACK,"open\n', "x.csv")
    assert "CSV" in caught.value.problems[-1].remedy
