"""`relay catalog`: the destinations that relay can deliver to, and what each takes, asks for and can do."""

import json
from typing import TYPE_CHECKING, Any, Final

import click

from relay.cli import exits
from relay.cli.output import Output, output_options, printable
from relay.errors import RequestError

if TYPE_CHECKING:
    from relay.control.catalog import CatalogView

VALUE_CHARS: Final = 60
CHOICES: Final = 8
"""The most choices that a cell names; --json has them all."""


@click.command()
@click.argument("slug", required=False)
@click.option("--readme", is_flag=True, help="Print the README of SLUG.")
@output_options
def catalog(slug: str | None, readme: bool, out: Output) -> int:
    """List the destinations that relay can deliver to, or tell everything about one.

    \b
    relay catalog
    relay catalog hubspot
    relay catalog hubspot --json
    """
    if readme and not slug:
        raise click.UsageError("--readme needs a SLUG.")
    view = open_catalog()
    if slug is None:
        told = view.all()
        if out.json:
            out.document(told)
        else:
            _list(told["definitions"], out)
        return exits.DONE
    try:
        one = view.one(slug)
    except RequestError as error:
        raise exits.Failure(exits.NO_MATCH, error.message) from error
    if out.json:
        out.document(one)
    elif readme:
        for line in one["readme"].splitlines():
            out.line(line)
    else:
        _tell(one, out)
    return exits.DONE


def open_catalog() -> "CatalogView":
    """The definitions of this installation, outside packages included."""
    from relay.control.catalog import CatalogView
    from relay.destinations import load_catalog, readme_of

    return CatalogView(load_catalog(), readme_of)


def _list(definitions: list[dict[str, Any]], out: Output) -> None:
    rows = [[one["slug"], one["name"], one["mode"], _calls(one), ", ".join(action["slug"] for action in one["actions"])] for one in definitions]
    out.table(["SLUG", "NAME", "MODE", "CALLS", "ACTIONS"], rows)
    out.talk(f"{exits.count_of(len(rows), 'definition')}; more about one: relay catalog SLUG")


def _calls(one: dict[str, Any]) -> str:
    return "all" if len(one["methods"]) == 6 else ",".join(one["methods"])


def _tell(one: dict[str, Any], out: Output) -> None:
    out.line(f"{one['slug']}  {one['name']}  ({one['mode']}; calls: {', '.join(one['methods'])})")
    out.line(one["description"])
    out.line("")
    if one["settings"]:
        out.table(["SETTING", "TYPE", "DEFAULT", "HELP"], [_setting(setting) for setting in one["settings"]])
    for action in one["actions"]:
        out.line("")
        out.line(f"action {action['slug']}: {action['description'] or action['title']}")
        out.line(f"  trigger: {action['trigger'] or 'none: the mapping gives one'}{_batch(action['batch'])}")
        if action["fields"]:
            out.table(["FIELD", "TYPE", "DEFAULT", "HELP"], [_field(field) for field in action["fields"]])
    out.line("")
    for preset in one["presets"]:
        out.line(f"preset {preset['name']}: {preset['action']} when {preset['trigger']}{'' if preset['automatic'] else ' (not by itself)'}")
    out.talk("Without a mapping the presets are in force." if one["presets"] else "It has no presets: without a mapping nothing is sent.")
    if one["readme"]:
        out.talk(f"More: relay catalog {one['slug']} --readme")


def _batch(batch: dict[str, Any] | None) -> str:
    if batch is None:
        return ""
    return f"; batches of up to {batch['events']:,} events{'' if batch['always'] else ' when enable_batching is true'}"


def _setting(setting: dict[str, Any]) -> list[str]:
    kind = f"{setting['type']}{', required' if setting['required'] else ''}{', secret' if setting['secret'] else ''}"
    return [setting["key"], kind, _value(setting["default"]), _help(setting)]


def _field(field: dict[str, Any]) -> list[str]:
    kind = f"{field['type']}{'[]' if field['multiple'] else ''}{':' + field['format'] if field['format'] else ''}"
    return ["  " + field["name"], kind + (", required" if field["required"] else ""), _value(field["default"]), _help(field)]


def _help(one: dict[str, Any]) -> str:
    choices = f"One of {_choices(one['choices'])}. " if one["choices"] else ""
    text: str = one["help"] or one["label"]
    when = f" Required when {one['required_when']}." if one.get("required_when") else ""
    return choices + text + when


def _choices(choices: list[str]) -> str:
    left = len(choices) - CHOICES
    return f"{', '.join(choices[:CHOICES])}, … and {left} more" if left > 1 else ", ".join(choices)


def _value(value: Any) -> str:
    """A default in a few characters: a path as a path, one of two as `a or b`, anything else as JSON."""
    if value is None:
        return ""
    if isinstance(value, dict) and list(value) == ["@path"]:
        return str(value["@path"])
    either = value.get("@if") if isinstance(value, dict) else None
    if isinstance(either, dict) and either.get("exists") == either.get("then"):
        return " or ".join(_value(each) for each in (either["then"], either.get("else")) if each is not None)
    text = printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= VALUE_CHARS else text[: VALUE_CHARS - 3] + "..."
