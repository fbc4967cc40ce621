"""Filters agree with Segment's own code for browsers, wherever that agrees with Segment's servers (semantics page 3)."""

import copy
import json
import random
from pathlib import Path
from typing import Any

from relay.base import jsonio
from relay.base.event import Event, event_of
from relay.kit.fql import compile_filter
from relay.kit.fql_filter import FORM
from relay.kit.fql_parser import Call, Compare, Group, Items, Level, Literal, Node, Not, parse
from relay.kit.fql_parser import Path as Field
from relay.pipeline.decision import Rules
from relay.pipeline.stages.filters import compile_filters
from relay.pipeline.stages.transform import compile_transformations
from relay.workspace.rules import Filter, FilterAction, Transformation
from tests.support.node import NODE, run

HERE = Path(__file__).parent
FQL = json.loads((HERE.parent / "data" / "fql.json").read_text())
CHANCE = random.Random(6)
TEXTS = ["Plan Upgraded", "plan", "pt-BR", "12", "größer", ""]
PATHS = ["type", "event", "userId", "properties.seats", "properties.price", "properties.annual", "properties.from", "context.locale", "traits.email"]


async def asked(folder: Path, matches: list[Any], transforms: list[Any]) -> dict[str, Any]:
    given = json.dumps({"matches": matches, "transforms": transforms}).encode()
    code, out, err = await run([str(NODE), str(HERE / "tsub.js"), str(folder)], folder, 40, given)
    assert (code, err) == (0, "")
    told: dict[str, Any] = json.loads(out)
    return told


def stored(message: dict[str, Any]) -> Event:
    message = {"messageId": "m1", **message}
    return event_of(message, "web", 0, jsonio.dumps(message))


def ir_of(node: Node) -> Any:
    """A statement as the browser gets it."""
    if isinstance(node, Level):
        return [node.keyword, *map(ir_of, node.parts)]
    if isinstance(node, Group):
        return ir_of(node.inner)
    if isinstance(node, Not):
        return ["!", ir_of(node.inner)]
    if isinstance(node, Compare):
        return [node.op, ir_of(node.left), ir_of(node.right)]
    if isinstance(node, Call):
        return [node.name, *map(ir_of, node.arguments)]
    if isinstance(node, Items):
        return [ir_of(item) for item in node.items]
    assert isinstance(node, Field | Literal)
    return node.text if isinstance(node, Field) else {"value": node.value}


def leaf() -> str:
    path, text, number = CHANCE.choice(PATHS), json.dumps(CHANCE.choice(TEXTS), ensure_ascii=False), CHANCE.choice(["0", "12", "-1", "49.5"])
    return CHANCE.choice(
        [
            f"{path} = {text}", f"{path} != {text}", f"{path} = {number}", f"{path} {CHANCE.choice(['<', '<=', '>', '>='])} {number}", f"{path} = true",
            f"contains({path}, {text})", f'match({path}, "{CHANCE.choice(["*", "?lan*", "p[a-t]-*", "*ed", "1?"])}")', f"{path} in [{text}, {number}]",
            f"lowercase({path}) = {text}", f"length({path}) >= {number.lstrip('-')}", f'typeof({path}) = "string"', path,
        ]
    )  # fmt: skip


def statement(depth: int = 2) -> str:
    kind = CHANCE.choice(["leaf", "and", "or", "not"]) if depth else "leaf"
    if kind == "leaf":
        return leaf()
    if kind == "not":
        return f"!({statement(depth - 1)})"
    return f"({statement(depth - 1)}) {kind} ({statement(depth - 1)})"


def agrees(text: str) -> bool:
    """Whether the browser's engine means the same by it: `length` of what is missing is 0 on a server."""
    return "length(" not in text or ">= 0" not in text


async def test_statements_mean_the_same(client_folder: Path) -> None:
    captured = [case["fql"] for case in FQL["cases"] if case["by"].startswith("@segment/tsub") and case["fql"] != "all"]
    pairs = [(text, event) for text in [*captured, *(statement() for _ in range(600))] for event in FQL["events"].values() if agrees(text)]
    assert len(pairs) > 3_000
    told = await asked(client_folder, [[ir_of(parse(text, FORM)), event] for text, event in pairs], [])
    ours = [compile_filter(text)(stored(event)) for text, event in pairs]
    assert [pair for pair, theirs, our in zip(pairs, told["matches"], ours, strict=True) if theirs is not our] == []


def message() -> dict[str, Any]:
    def thing(depth: int) -> Any:
        if depth and CHANCE.random() < 0.6:
            made = {key: thing(depth - 1) for key in CHANCE.sample(["a", "b", "c", "rows"], 3)}
            return made if CHANCE.random() < 0.7 else [made, thing(0), {"a": 1}]
        return CHANCE.choice([1, "x", True, 2.5])

    return {
        "type": "track",
        "event": "E",
        "userId": "u",
        "messageId": "m1",
        "properties": {"o": {"a": 1}, **{key: thing(2) for key in "abc"}},
        "context": {"ip": "1", "a": thing(1)},
    }


def some_fields() -> dict[str, list[str]]:
    return {
        path: CHANCE.sample(["a", "b", "o", "ip"], 2)
        for path in CHANCE.sample(["properties", "properties.a", "properties.b.c", "context", "context.a"], 2)
    }


async def test_filters_and_transformations_do_the_same(client_folder: Path) -> None:
    ours: list[Any] = []
    transforms: list[Any] = []
    for _ in range(300):
        event, drop, allow = message(), some_fields(), some_fields()
        if isinstance(event["properties"]["b"], list):  # the browser does not look through a list on the way
            drop.pop("properties.b.c", None)
            allow.pop("properties.b.c", None)
        transforms.append(
            [[{"type": "drop_properties", "config": {"drop": drop}}, {"type": "allow_properties", "config": {"allow": allow}}], copy.deepcopy(event)]
        )
        actions = [FilterAction("ALLOW_PROPERTIES", fields=_tuples(allow)), FilterAction("DROP_PROPERTIES", fields=_tuples(drop))]
        ours.append(payload_after(compile_filters([Filter("all", tuple(actions))], "hook"), event))
        event = message()
        old, new = CHANCE.sample(["properties.a", "properties.b", "properties.o.a", "properties.z"], 2)
        sets = {"properties.new": 5, "context.kind": {"x": [1]}, "properties.o.new": None}
        transforms.append(
            [
                [{"type": "map_properties", "config": {"map": {new: {"move": old}, **{path: {"set": value} for path, value in sets.items()}}}}],
                copy.deepcopy(event),
            ]
        )
        ours.append(payload_after(compile_transformations([Transformation("all", renames=((old, new),), values=tuple(sets.items()))]), event))
    told = await asked(client_folder, [], transforms)
    assert [(given, theirs, our) for given, theirs, our in zip(transforms, told["transforms"], ours, strict=True) if theirs != our] == []


def payload_after(step: Rules | None, message: dict[str, Any]) -> Any:
    assert step is not None
    result = step(stored(message))
    assert isinstance(result, Event)
    return result.payload


def _tuples(fields: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {path: tuple(keys) for path, keys in fields.items()}
