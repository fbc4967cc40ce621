"""`relay try`: cases in, exact requests out, no network."""

import asyncio
import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relay.cli import exits
from relay.cli.output import Output, output_options, printable
from relay.errors import ConfigError

if TYPE_CHECKING:
    from relay.kit.definition import Definition


@click.command("try")
@click.option("--cases", "file", required=True, type=click.Path(path_type=Path, dir_okay=False), help="A JSON array of cases.")
@click.option("--definition", "module", help="A definition that is not installed: its package, from the current folder.")
@click.option("--accept", is_flag=True, help="Write what came out into FILE, as the expectation of each case that has none.")
@output_options
def rehearse(file: Path, module: str | None, accept: bool, out: Output) -> int:
    """Run cases through trigger, mapping and action, and print the requests, or the rows of a warehouse; compare them with what each case expects.

    \b
    relay try --cases relay/destinations/webhook/cases.json
    relay try --cases mine.json --json
    relay try --definition relay_acme --cases relay_acme/cases.json
    """
    from relay.cli.trial import differences, expectation, run_case
    from relay.destinations import load_catalog

    cases, catalog = _read(file), load_catalog()
    if module:
        catalog |= _definition_in(module)
    results: list[dict[str, Any]] = []
    wrong = 0
    for case in cases:
        try:
            result = asyncio.run(run_case(case, catalog))
        except ConfigError as error:
            result = {"id": case.get("id", ""), "outcome": "rejected", "deliveries": [], "error": error.message}
        results.append(result)
        if accept and "error" not in result:
            case.setdefault("expect", expectation(result))
        found = differences(case, result)
        wrong += bool(found)
        if not out.json:
            _print(case, result, out)
        for line in found:
            out.warn(printable(f"{case.get('id', '')}: {line}"))
    if out.json:
        out.document(results)
    if accept:
        file.write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n", "utf-8")
    expected = sum("expect" in case for case in cases)
    out.talk(f"{exits.count_of(len(cases), 'case')}, {expected} with an expectation, {wrong} different.")
    return exits.PROBLEMS if wrong else exits.DONE


def _definition_in(module: str) -> dict[str, "Definition"]:
    """The definition that a package in the current folder exports."""
    from relay.kit.definition import Definition

    sys.path.insert(0, str(Path.cwd()))
    try:
        definition = getattr(importlib.import_module(module), "DEFINITION", None)
    except ImportError as error:
        raise exits.Failure(exits.USAGE, f"{module} cannot be imported from {Path.cwd()}: {error}") from error
    if not isinstance(definition, Definition):
        raise exits.Failure(exits.USAGE, f"{module} exports no DEFINITION")
    return {definition.slug: definition}


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        cases = json.loads(file.read_text())
    except OSError as error:
        raise exits.Failure(exits.IO_ERROR, f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise exits.Failure(exits.USAGE, f"{file} is not JSON: {error}") from error
    cases = [cases] if isinstance(cases, dict) else cases
    if not isinstance(cases, list) or not all(isinstance(case, dict) and ("event" in case or "events" in case) for case in cases):
        raise exits.Failure(exits.USAGE, f"{file} must hold a JSON array of cases, each with destination, settings and an event or events")
    return cases


def _print(case: dict[str, Any], result: dict[str, Any], out: Output) -> None:
    out.line(printable(f"{result['id']}  {case.get('destination', '')}: {result['outcome']}{' ' + result['code'] if result.get('code') else ''}"))
    if result.get("error"):
        out.line(printable(f"  {result['error']}"))
    for delivery in result["deliveries"]:
        error = delivery.get("error")
        out.line(printable(f"  {delivery.get('preset') or delivery['action']}: {delivery['outcome']}{f' {error}' if error else ''}"))
        for request in delivery["requests"]:
            out.line(printable(f"    {request['method']} {request['host']}{request['path']} {json.dumps(request.get('query', {}))}"))
            body = request.get("json", request.get("form", request.get("text", "")))
            out.line(printable(f"    {json.dumps(body, ensure_ascii=False)}"))
        for row in delivery.get("rows", ()):
            out.line(printable(f"    {row['table']} {json.dumps(row['values'], ensure_ascii=False)}"))
        for event in delivery.get("events", ()):
            out.line(printable(f"    {json.dumps(event, ensure_ascii=False)}"))
