"""`relay check`: the whole configuration read and compiled, every mistake shown; then each destination reached with its harmless call."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relay.cli import exits
from relay.cli.output import Output, output_options
from relay.errors import ConfigError, DeliveryError, Misconfigured, Place, Problem, RelayError

if TYPE_CHECKING:
    from relay.cli.reach import Unreached
    from relay.kit.definition import Definition
    from relay.kit.request import Response
    from relay.pipeline.compiled import Compiled, CompiledDestination
    from relay.workspace.assemble import Loaded


@dataclass(frozen=True, slots=True)
class Reached:
    """How a destination answered its test call."""

    destination: str
    ok: bool
    detail: str


@click.command(epilog="Exit: 0 good, 1 only a destination did not answer (or warnings, with --strict), 78 the configuration is wrong.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--config", type=click.Path(path_type=Path), help="The same as FILE.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set one setting, as in serve.")
@click.option("--no-network", is_flag=True, help="Do not reach the destinations.")
@click.option("--strict", is_flag=True, help="Warnings count as problems.")
@click.option("--print", "show", is_flag=True, help="Print the effective configuration, secrets masked, with the origin of each value.")
@click.option("--schema", is_flag=True, help="Print the JSON schema (draft 7) of a configuration file, for editors; nothing is checked.")
@output_options
def check(
    file: Path | None, config: Path | None, overrides: tuple[str, ...], no_network: bool, strict: bool, show: bool, schema: bool, out: Output
) -> int:
    """Validate the configuration, then reach each destination with its harmless test call.

    Needs no database: events and traits that were switched in the UI are kept there, and laid over the files by serve alone.

    \b
    relay check conf/relay.toml
    relay check /etc/relay/relay.toml --no-network --strict --print
    """
    if schema:
        out.document(_schema())
        return exits.DONE
    if file is not None and config is not None and file != config:
        raise click.UsageError("FILE and --config name two files.")
    try:
        loaded, compiled = read(file or config, overrides)
        loaded, partly = _with_unreached(loaded, compiled)
    except ConfigError as error:
        if not out.json:
            raise
        out.document({"ok": False, "errors": [problem_json(problem) for problem in error.problems], "warnings": [], "destinations": []})
        return exits.CONFIG_WRONG
    reached = [] if no_network else asyncio.run(_reach_all(compiled))
    good = all(one.ok for one in reached) and not (strict and loaded.warnings)
    if out.json:
        out.document(_as_json(loaded, reached, good, show) | {"unreached": [asdict(one) for one in partly]})
    else:
        _tell(loaded, reached, show, out)
        for one in partly:
            out.talk(f"note  {one.problem().message}")
    return exits.DONE if good else exits.PROBLEMS


def _with_unreached(loaded: "Loaded", compiled: "Compiled") -> "tuple[Loaded, list[Unreached]]":
    """Destinations that nothing reaches are warnings; those that some calls do not reach are told apart, since that is often meant."""
    from relay.cli.reach import unreached

    found = list(unreached(compiled))
    warnings = tuple(one.problem() for one in found if one.is_all)
    return replace(loaded, warnings=(*loaded.warnings, *warnings)), [one for one in found if not one.is_all]


def _schema() -> dict[str, Any]:
    from relay.destinations import load_catalog
    from relay.workspace.schema import file_schema

    return file_schema(load_catalog())


def read(path: Path | None, overrides: Sequence[str] = ()) -> "tuple[Loaded, Compiled]":
    """The configuration, assembled and compiled. Raises ConfigError with every mistake."""
    from relay.destinations import load_catalog
    from relay.pipeline.compiled import compile_workspace
    from relay.workspace.assemble import load

    catalog = load_catalog()
    loaded = load(path, catalog, environment=os.environ, overrides=overrides)
    return loaded, compile_workspace(loaded.workspace, catalog)


def problem_json(problem: Problem) -> dict[str, Any]:
    """A mistake or warning for --json."""
    place = problem.place or Place("", 0)
    return {"message": problem.message, "file": place.file, "line": place.line, "column": place.column, "remedy": problem.remedy}


def _tell(loaded: "Loaded", reached: Sequence[Reached], show: bool, out: Output) -> None:
    from relay.config.settings import format_problems

    if loaded.warnings:
        click.echo(format_problems(loaded.warnings, word="warning").rstrip("\n"), err=True)
    if show:
        for line in effective_lines(loaded):
            out.line(line)
    for one in reached:
        state = "ok" if one.ok else "fail"
        click.echo(f"{state:<5} {one.destination}: {one.detail}", err=True)
    sources, destinations = len(loaded.workspace.sources), len(loaded.workspace.destinations)
    files = ", ".join(str(path) for path in loaded.tree.files) or "no file (the defaults)"
    counts = f"{exits.count_of(sources, 'source')}, {exits.count_of(destinations, 'destination')}"
    warned = f", {exits.count_of(len(loaded.warnings), 'warning')}" if loaded.warnings else ""
    out.talk(f"{files}: {counts}{warned}; the configuration is good.")


def _as_json(loaded: "Loaded", reached: Sequence[Reached], good: bool, show: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "ok": good,
        "errors": [],
        "warnings": [problem_json(problem) for problem in loaded.warnings],
        "destinations": [{"destination": one.destination, "ok": one.ok, "detail": one.detail} for one in reached],
    }
    if show:
        answer["effective"] = effective_json(loaded)
    return answer


def effective_json(loaded: "Loaded") -> dict[str, Any]:
    """The effective configuration, secrets masked."""
    from relay.config.settings import effective
    from relay.workspace.alert_rules import effective_rules

    rows = effective(loaded.settings, loaded.tree)
    workspace = loaded.workspace
    return {
        "settings": [{"key": row.key, "value": row.value, "origin": row.origin} for row in rows],
        "sources": [{"slug": one.slug, "name": one.name, "enabled": one.enabled, "origin": _origin(one.place)} for one in workspace.sources],
        "destinations": [
            {"slug": one.slug, "type": one.type, "enabled": one.enabled, "sources": list(one.source_ids), "origin": _origin(one.place)}
            | {"settings": {name: str(value) for name, value in one.settings.items()}, "mappings": [sub.subscription_id for sub in one.subscriptions]}
            for one in workspace.destinations
        ],
        "alert_rules": [
            {"name": one.name, "kind": one.kind, "threshold": one.threshold, "window_m": one.window_m, "min_events": one.min_events}
            | {"subject": one.subject, "enabled": one.enabled, "origin": _origin(one.place)}
            for one in effective_rules(workspace.alert_rules)
        ],
    }


def effective_lines(loaded: "Loaded") -> list[str]:
    """The same as TOML, each line with its origin as a comment."""
    from relay.base.secret import MASK
    from relay.config.settings import effective, literal
    from relay.workspace.alert_rules import KINDS, effective_rules

    lines: list[str] = []
    table = ""
    for row in effective(loaded.settings, loaded.tree):
        owner, _, name = row.key.partition(".")
        if owner != table:
            table = owner
            lines += ([""] if lines else []) + [f"[{table}]"]
        lines.append(f"{f'{name} = {row.value}':<60} # {row.origin}")
    for source in loaded.workspace.sources:
        lines += ["", f"[[source]]  # {_origin(source.place)}", f"slug = {literal(source.slug)}", f"enabled = {literal(source.enabled)}"]
        lines.append(f"write_keys = {literal([MASK] * len(source.write_keys))}")
    for one in loaded.workspace.destinations:
        lines += ["", f"[[destination]]  # {_origin(one.place)}", f"slug = {literal(one.slug)}", f"type = {literal(one.type)}"]
        lines += [f"sources = {literal(list(one.source_ids))}", f"enabled = {literal(one.enabled)}"]
        lines += [f"settings.{name} = {literal(value)}" for name, value in one.settings.items()]
        lines += [f"# mapping {sub.subscription_id}: {sub.action} when {sub.trigger}" for sub in one.subscriptions]
    for rule in effective_rules(loaded.workspace.alert_rules):
        lines += ["", f"[[alerts.rule]]  # {_origin(rule.place)}", f"name = {literal(rule.name)}", f"kind = {literal(rule.kind)}"]
        lines += [f"threshold = {literal(rule.threshold)}"] if KINDS[rule.kind].unit else []
        lines += [f"subject = {literal(rule.subject)}"] if rule.subject else []
        lines.append(f"window_m = {rule.window_m}")
        lines += [f"min_events = {rule.min_events}", f"enabled = {literal(rule.enabled)}"]
    return lines


def _origin(place: Place | None) -> str:
    return str(place) if place else "default"


async def _reach_all(compiled: "Compiled") -> list[Reached]:
    """The test calls of all destinations at once, each bounded by its own timeout."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_reach(one)) for one in compiled.destinations.values() if one.destination.enabled and one.definition.test]
    return [reached for task in tasks if (reached := task.result()) is not None]


async def _reach(compiled: "CompiledDestination") -> Reached | None:
    """None: these settings give nothing to ask."""
    from relay.net.client import HttpTransport

    destination, test = compiled.destination, compiled.definition.test
    assert test is not None
    try:
        request = test(destination.settings)
    except RelayError as error:
        return Reached(destination.slug, False, f"{error.code}: {error.message}")
    if request is None:
        return None
    transport = HttpTransport(destination.allow_private, destination.timeout_s, endpoint=destination.endpoint)
    try:
        async with asyncio.timeout(destination.timeout_s + 5):
            response = await transport.send(request)
    except DeliveryError as error:
        return Reached(destination.slug, False, f"{error.code}: {error.message}")
    except TimeoutError:
        return Reached(destination.slug, False, f"no answer within {destination.timeout_s:g} s")
    finally:
        await transport.close()
    if refusal := _refusal(compiled.definition, response):
        return Reached(destination.slug, False, f"{refusal.code}: {refusal.message}")
    if response.status in (401, 403, 410):
        return Reached(destination.slug, False, f"refuses relay with status {response.status}: check its settings")
    if response.status == 404:
        return Reached(destination.slug, False, "does not know what the settings name (status 404)")
    if response.status >= 500:
        return Reached(destination.slug, False, f"answers with status {response.status}")
    return Reached(destination.slug, True, f"answers (status {response.status}, {response.duration_ms:.0f} ms)")


def _refusal(definition: "Definition", response: "Response") -> Misconfigured | None:
    """What the definition itself reads out of an answer, whatever its status."""
    if definition.read_test is None:
        return None
    try:
        errors = definition.read_test([], response) or ()
    except DeliveryError as error:
        errors = [error]
    return next((error for error in errors if isinstance(error, Misconfigured)), None)
