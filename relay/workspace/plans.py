"""`[[plan]]` with its JSON file: from the tree to plans, every mistake with its place, in the TOML or in the JSON."""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path

from relay.base import jsonio
from relay.config.reading import TableReader
from relay.config.tree import Tree, child
from relay.errors import Place, Problem
from relay.workspace.destinations import read_slug
from relay.workspace.plan_rules import TYPES, read_rules
from relay.workspace.rules import Plan

__all__ = ["TYPES", "read_plans"]


def read_plans(tree: Tree, problems: list[Problem], warnings: list[Problem]) -> tuple[Plan, ...]:
    """Every `[[plan]]`."""
    tables = tree.data.get("plan", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        problems.append(Problem("'plan' must be a list of tables", tree.place("plan"), "write [[plan]]"))
        return ()
    destinations = slugs_in(tree, "destination") or ["archive"]
    plans: dict[str, Plan] = {}
    for index, table in enumerate(tables):
        slug = table.get("slug")
        name = f'plan "{slug}"' if isinstance(slug, str) and slug else f"plan {index + 1}"
        plan = _plan(TableReader(tree, f"plan[{index}]", name, problems, table), destinations, warnings)
        first = plans.setdefault(plan.slug, plan)
        if first is not plan and plan.slug:
            problems.append(Problem(f"the plan slug '{plan.slug}' is used twice", tree.place(f"plan[{index}].slug"), f"first used at {first.place}"))
    return tuple(plans.values())


def slugs_in(tree: Tree, noun: str) -> list[str]:
    """The slugs of the sources or destinations that the tree names, before they are read."""
    tables = tree.data.get(noun, [])
    tables = tables if isinstance(tables, list) else []
    return [table["slug"] for table in tables if isinstance(table, dict) and isinstance(table.get("slug"), str)]


def _plan(reader: TableReader, destinations: Sequence[str], warnings: list[Problem]) -> Plan:
    slug = read_slug(reader, "plan")
    name = reader.take("name", "string", slug) or slug
    file: str = reader.take("file", "string", "")
    reader.known.add("rules")  # of a change that is not saved yet: they stand for the file's
    reader.finish()
    plan = Plan(slug, name, (), place=reader.tree.places.get(reader.path))
    if "file" not in reader.table:
        reader.complain("a plan needs a file", remedy='add file = "plan.json"; the path starts at the folder of this file')
    if not file:
        return plan
    path = _folder_of(reader.tree.place(reader.at("file"))) / file
    if "rules" in reader.table:
        changed = read_rules(str(path), jsonio.dumps({"rules": reader.table["rules"]}), destinations)
        for mistake in changed.mistakes:
            place = reader.tree.place(reduce(child, mistake.keys, reader.path))
            reader.problems.append(_named(reader.label, replace(mistake.problem, place=place)))
        return replace(plan, rules=changed.rules, file=str(path))
    try:
        body = path.read_bytes()
    except OSError as error:
        reader.complain(f"the file {path} cannot be read: {error.strerror}", "file", "check the path and the rights of relay's user")
        return plan
    found = read_rules(str(path), body, destinations)
    reader.problems += [_named(reader.label, mistake.problem) for mistake in found.mistakes]
    warnings += [_named(reader.label, mistake.problem) for mistake in found.warnings]
    return replace(plan, rules=found.rules, file=str(path))


def _folder_of(place: Place) -> Path:
    """The folder of the TOML file that a setting stands in; the working folder for one from the environment."""
    file = Path(place.file)
    return file.parent if file.is_file() else Path()


def _named(label: str, problem: Problem) -> Problem:
    return replace(problem, message=f"{label}: {problem.message}")
