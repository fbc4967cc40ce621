"""Runs cases of `tests/data/governance/` through a real workspace: configuration, intake, source side, destination side, requests.

deliveries = run(case, folder)      # in this process, no sockets
check(case, deliveries)             # every expectation, and nothing else has arrived

`config_of` gives the same workspace as text, for a running relay; a prefix keeps several cases apart.
"""

import copy
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from relay.destinations import load_catalog
from relay.pipeline.compiled import Compiled, compile_workspace
from relay.pipeline.decision import Drop
from relay.pipeline.destination_side import destination_side
from relay.pipeline.explain import explain_destination, explain_source
from relay.pipeline.intake import Client, Limits, accept, time_text
from relay.pipeline.source_side import source_side
from relay.workspace.assemble import load
from tests.support.app import table
from tests.support.captured import ask

DATA = Path(__file__).parents[1] / "data" / "governance"
CASES: list[dict[str, Any]] = json.loads((DATA / "cases.json").read_text())
MORE: dict[str, Any] = json.loads((DATA / "more.json").read_text())
"""`cases` in the same form (`matcher`: the workspace's own; `note`: what was chosen where the texts are silent), and `fql`."""
RECEIVED_MS = 1_790_000_000_000
DESTINATION_KEYS = ("filter", "transformation", "consent_categories", "privacy")


class Delivered(NamedTuple):
    """What reached a destination of the case."""

    at: str
    event: dict[str, Any]


def filled(case: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The case with its placeholders filled in, and every event with its messageId."""
    text = re.sub(r"\{slug:([^}]+)\}", lambda found: prefix + found[1], json.dumps(case))
    made: dict[str, Any] = json.loads(re.sub(r"\{mid:([^}]+)\}", lambda found: message_id(case, found[1], prefix), text))
    for event in made["events"]:
        event["messageId"] = message_id(case, event["eid"], prefix)
    return made


def message_id(case: Mapping[str, Any], eid: str, prefix: str = "") -> str:
    return f"{prefix}{case['id']}-{eid}"


def messages_of(case: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is sent to the source `main`."""
    return [{key: value for key, value in copy.deepcopy(event).items() if key != "eid"} for event in case["events"]]


def config_of(case: Mapping[str, Any], folder: Path, url: str, allow: list[str], prefix: str = "") -> str:
    """The workspace of a case (placeholders filled) as a configuration; each destination posts to `<url>/<slug>`. Writes the plan's file."""
    text = ""
    if "plan" in case:
        (folder / f"{prefix}plan.json").write_text(json.dumps(case["plan"]))
        text += table("plan", {"slug": f"{prefix}plan", "file": f"{prefix}plan.json"})
    text += "".join(table("matcher", given) for given in case.get("matcher", ()))
    for name, given in {"main": case.get("source", {}), **case.get("sources", {})}.items():
        has_plan = "plan" in case and (name == "main" or given.get("plan"))
        options = {key: value for key, value in given.items() if key != "plan"} | ({"plan": f"{prefix}plan"} if has_plan else {})
        text += table("source", {"slug": prefix + name, "write_key": f"wk_{prefix}{name}"} | options)
    for name, given in case["destinations"].items():
        options = {key: given[key] for key in DESTINATION_KEYS if key in given}
        head = {"slug": prefix + name, "type": "webhook", "sources": [prefix + given.get("source", "main")], "allow_private": allow}
        text += table("destination", head | options | {"settings": {"url": f"{url}/{prefix}{name}"}})
        if "trigger" in given:
            text += table("destination.mapping", {"action": "send", "trigger": given["trigger"]})
    return text


def compiled_of(config: str, folder: Path) -> Compiled:
    """A configuration, compiled as a running relay does."""
    path = folder / "relay.toml"
    path.write_text(config)
    catalog = load_catalog()
    return compile_workspace(load(path, catalog, environment={}).workspace, catalog)


def run(case: Mapping[str, Any], folder: Path) -> list[Delivered]:
    """What reaches the destinations. Explanations are made of every event as well, and must agree."""
    case = filled(case)
    compiled = compiled_of(config_of(case, folder, "http://127.0.0.1:9000", ["127.0.0.1:9000"]), folder)
    queue, refusals = accept(
        messages_of(case), {}, compiled.sources["main"], received_ms=RECEIVED_MS, received_text=time_text(RECEIVED_MS), client=Client(),
        limits=Limits(), new_id=lambda: "unused",
    )  # fmt: skip
    assert refusals == []
    found: list[Delivered] = []
    for seq, event in enumerate(queue, 1):
        source = compiled.sources.get(event.source_id)
        sourced = source_side(seq, event, source)
        assert explain_source(seq, event, source)[0].drop == sourced.drop
        queue += sourced.derived
        for name, destination in compiled.destinations.items():
            if event.source_id not in destination.source_ids:
                continue
            result = destination_side(sourced, destination)
            assert explain_destination(sourced, destination).drop == (result if isinstance(result, Drop) else None)
            if not isinstance(result, Drop):
                found += [Delivered(name, json.loads(ask([unit], destination.destination.settings, 0.0).body)) for unit in result]
    return found


# --- expectations ------------------------------------------------------------------------------------------------------------

MISSING = object()


def check(case: Mapping[str, Any], deliveries: list[Delivered], prefix: str = "") -> None:
    """Each expectation is met, and whatever reached a destination was expected."""
    case = filled(case, prefix)
    left = list(deliveries)
    for wanted in case["expect"]:
        found = [one for one in left if one.at == wanted["at"] and _is_meant(case, wanted, one.event, prefix)]
        assert len(found) == wanted.get("count", 1), (case["id"], wanted, left)
        for one in found:
            left.remove(one)
            _check_event(wanted, one.event)
    assert left == [], (case["id"], "not expected")


def _is_meant(case: Mapping[str, Any], wanted: Mapping[str, Any], event: Mapping[str, Any], prefix: str) -> bool:
    if "eid" in wanted:
        return event["messageId"] == message_id(case, wanted["eid"], prefix)
    return all(at(event, pointer) == value for pointer, value in wanted["find"].items())


def _check_event(wanted: Mapping[str, Any], event: Mapping[str, Any]) -> None:
    for pointer, value in wanted.get("equal", {}).items():
        assert at(event, pointer) == value, (pointer, event)
    for pointer in wanted.get("absent", ()):
        assert at(event, pointer) is MISSING, (pointer, event)
    for pointer in [wanted["absent_or_empty"]] if isinstance(wanted.get("absent_or_empty"), str) else wanted.get("absent_or_empty", ()):
        assert at(event, pointer) in (MISSING, None, "", [], {}), (pointer, event)
    for pointer, names in wanted.get("names", {}).items():
        found = at(event, pointer)
        assert isinstance(found, list), (pointer, event)
        assert sorted(map(_last, found)) == sorted(names), (pointer, event)
    for violation in wanted.get("violations", ()):
        assert any(_is_violation(one, violation) for one in at(event, "/context/protocols/violations")), (violation, event)
    for pointer, value in wanted.get("norm", {}).items():
        assert _letters(at(event, pointer)) == _letters(value), (pointer, event)
    for pointer, value in wanted.get("ends", {}).items():
        assert _last(at(event, pointer)) == value, (pointer, event)
    for pointer, raw in wanted.get("hidden", {}).items():
        assert at(event, pointer) is MISSING or str(raw) not in json.dumps(at(event, pointer), ensure_ascii=False), (pointer, event)


def _is_violation(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(_last(found["field"]) == value if key == "field" else _letters(found[key]) == _letters(value) for key, value in wanted.items())


def at(value: Any, pointer: str) -> Any:
    """The value at a JSON pointer, or MISSING."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, dict) and key in value:
            value = value[key]
        else:
            return MISSING
    return value


def _last(path: Any) -> str:
    return str(path).rpartition(".")[2]


def _letters(text: Any) -> str:
    return re.sub(r"[^a-z]", "", str(text).lower())
