"""The governance cases, captured and our own, through a real workspace; and what filters make of statements."""

from pathlib import Path
from typing import Any

import pytest

from relay.errors import ConfigError
from relay.kit.fql import compile_filter, compile_trigger
from tests.support.governance import CASES, MORE, check, run
from tests.support.worlds import stored

FQL = MORE["fql"]
EVENTS = {name: stored({"messageId": name} | message) for name, message in FQL["events"].items()}


@pytest.mark.parametrize("case", [*CASES, *MORE["cases"]], ids=lambda case: case["id"])
def test_a_case_delivers_what_it_should_and_nothing_else(case: dict[str, Any], tmp_path: Path) -> None:
    check(case, run(case, tmp_path))


@pytest.mark.parametrize("case", FQL["cases"], ids=lambda case: case["fql"])
def test_a_statement_matches_these_events_and_no_others(case: dict[str, Any]) -> None:
    matches = compile_filter(case["fql"])
    assert [name for name, event in EVENTS.items() if matches(event)] == case["match"]
    assert sorted(case["match"] + case["no_match"]) == sorted(EVENTS)
    if "as" in case:  # what a person may mean otherwise is no trigger
        with pytest.raises(ConfigError, match=r"trigger, character [0-9]+: "):
            compile_trigger(case["fql"])
    else:
        matches = compile_trigger(case["fql"])
        assert [name for name, event in EVENTS.items() if matches(event)] == case["match"]


@pytest.mark.parametrize("case", FQL["refused"], ids=lambda case: case["why"])
def test_a_statement_that_cannot_be_read_is_refused_with_the_character(case: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"filter, character [0-9]+: "):
        compile_filter(case["fql"])
