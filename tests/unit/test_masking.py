"""What is secret by its name never shows, in a value or in a text, and everything else stays as it was."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.masking import CUT, mask, mask_text
from relay.base.secret import MASK

NAMES = ("password", "token", "secret", "authorization")
CANARY = "canary-7f"


@pytest.mark.parametrize(
    "key",
    ["password", "PASSWORD", "user_password", "userPassword", "pass-word", "accessToken", "X-Auth-Token", "client secret", "Authorization"],
)
def test_a_name_covers_every_key_that_contains_it(key: str) -> None:
    for value in (CANARY, 7, True, [CANARY], {"a": CANARY}):
        assert mask({"a": [{key: value}]}, NAMES) == {"a": [{key: MASK}]}
        assert orjson.loads(mask_text(orjson.dumps({"a": [{key: value}], "b": 1}).decode(), NAMES)) == {"a": [{key: MASK}], "b": 1}


@pytest.mark.parametrize("empty", [None, "", [], {}])
def test_an_empty_value_shows_that_it_is_empty(empty: Any) -> None:
    assert mask({"token": empty}, NAMES) == {"token": empty}
    assert mask_text(orjson.dumps({"token": empty}).decode(), NAMES) == orjson.dumps({"token": empty}).decode()


def test_what_is_not_named_stays_and_nothing_changes_in_place() -> None:
    value = {"type": "track", "properties": {"revenue": 39.95, "tags": ["a", None], "password": CANARY}}
    before = copy.deepcopy(value)
    assert mask(value, ()) == value
    assert mask(value, NAMES) == {"type": "track", "properties": {"revenue": 39.95, "tags": ["a", None], "password": MASK}}
    assert value == before


def test_a_value_too_deep_to_be_written_is_cut() -> None:
    deep: Any = CANARY
    for _ in range(900):
        deep = {"a": deep}
    assert CUT in orjson.dumps(mask(deep, NAMES)).decode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"a": 1.0, "token" : "x\\"y", "b": 2}', '{"a": 1.0, "token" : "•••", "b": 2}'),
        ('{"p\\u0061ssword":"x"}', '{"p\\u0061ssword":"•••"}'),
        ('{"secret":{"a":["}"]},"b":[1]}', '{"secret":"•••","b":[1]}'),
        ('{"b":1,"token":"cut at the e', '{"b":1,"token":"•••"'),
        ('{"b":1,"token":"cut in an escape\\', '{"b":1,"token":"•••"'),
        ('{"b":"\\"\\"\\"\\', '{"b":"\\"\\"\\"\\'),
        ('{"b":1,"secret":{"a":[1,', '{"b":1,"secret":"•••"'),
        ('{"b":"say \\"token\\": yes"}', '{"b":"say \\"token\\": yes"}'),
        ('{"a":"x",":token":"v"}', '{"a":"x",":token":"•••"}'),
        ("user=u1&access_token=abc&x=1", "user=u1&access_token=•••&x=1"),
        ("https://a.example/hook?api%5Ftoken=abc&x=1#token=2", "https://a.example/hook?api%5Ftoken=•••&x=1#token=2"),
        ("plain text with a token", "plain text with a token"),
        ("", ""),
    ],
)
def test_a_text_keeps_every_other_character(text: str, shown: str) -> None:
    assert mask_text(text, NAMES) == shown


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["token", "a", 'x"y', "b_secret", ":", ":token", ""]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON.filter(lambda value: isinstance(value, dict | list)))
def test_text_and_value_are_masked_alike(value: Any) -> None:
    assert orjson.loads(mask_text(orjson.dumps(value).decode(), NAMES)) == mask(value, NAMES)


@given(st.text())
def test_any_text_is_taken(text: str) -> None:
    mask_text(text, NAMES)
    mask_text("{" + text, NAMES)
