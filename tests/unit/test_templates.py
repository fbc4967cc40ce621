"""The plans to begin with: what ships is a good plan, and says of each event what for."""

import pytest

from relay.base import jsonio
from relay.workspace import templates
from relay.workspace.plan_files import canonical, fields_of, identity, to_json
from relay.workspace.plan_rules import read_rules

BLOCKS = {"ecommerce", "b2b-saas", "mobile", "video", "email", "chat", "ab-testing", "identify", "group"}


def test_there_is_one_for_each_block() -> None:
    assert set(templates.names()) == BLOCKS
    with pytest.raises(KeyError):
        templates.template("../rules")


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_it_is_a_plan_that_relay_takes(name: str) -> None:
    content = templates.template(name)
    read = read_rules(f"{name}.json", to_json(content).encode())
    assert read.mistakes == ()
    assert len(read.rules) == len(content["rules"])
    assert content == canonical(content)
    assert list(content["rules"]) == canonical(content)["rules"]


def test_no_event_is_in_two_of_them() -> None:
    found = [identity(rule) for rule in templates.known_rules()]
    assert len(found) == len(set(found))


def test_each_rule_and_each_field_is_described() -> None:
    for rule in templates.known_rules():
        schema = rule["jsonSchema"]
        assert schema["description"] and schema["x-why"], rule["key"]
        for path, inner, _ in fields_of(schema):
            assert path in (("properties",), ("traits",)) or path[-1] == "$" or inner["description"], (rule["key"], path)
        assert jsonio.dumps(schema).isascii(), rule["key"]


def test_the_events_of_the_specs_are_there() -> None:
    keys = {rule.get("key") for rule in templates.known_rules()}
    assert {"Order Completed", "Product List Filtered", "Trial Ended", "Application Crashed", "Video Quality Updated", "Unsubscribed"} <= keys
    assert {"Live Chat Conversation Ended", "Experiment Viewed", "Deep Link Clicked", "Product Added to Wishlist", "Cart Shared"} <= keys


def test_traits_are_never_required_since_clients_send_what_changed() -> None:
    for name in ("identify", "group"):
        (rule,) = templates.template(name)["rules"]
        assert not any(required for _, _, required in fields_of(rule["jsonSchema"]))


def test_amounts_may_have_a_fraction() -> None:
    assert {"price", "revenue", "total", "value"} <= templates.numeric_names()
    assert "quantity" not in templates.numeric_names()
