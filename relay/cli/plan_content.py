"""Plans as the commands read, compare and write them: by slug or by file, as JSON or as a table."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from relay.cli import exits
from relay.cli.output import Output, printable

if TYPE_CHECKING:
    from relay.workspace.plan_files import Content

CSV: Final = ".csv"
VALUE_CHARS: Final = 120


def content_of(word: str, config: Path | None) -> "Content":
    """The plan that a slug or a file means."""
    path = Path(word)
    if path.suffix or path.is_file() or os.sep in word:
        return read_file(path)
    from relay.cli.check import read

    loaded, _ = read(config)
    found = next((one for one in loaded.workspace.plans if one.slug == word), None)
    if found is None:
        known = ", ".join(one.slug for one in loaded.workspace.plans) or "none"
        raise exits.Failure(exits.NO_MATCH, f"there is no plan {word!r} in the configuration, and no such file", f"There are: {known}.")
    return read_file(Path(found.file))


def read_file(path: Path) -> "Content":
    """The content of a plan's file, checked. Raises ConfigError with every mistake."""
    from relay.base import jsonio
    from relay.errors import ConfigError, Place
    from relay.workspace.plan_files import to_json, unwrapped
    from relay.workspace.plan_rules import read_rules
    from relay.workspace.plan_sheet import from_csv

    body = path.read_bytes()
    if path.suffix.lower() == CSV:
        table = from_csv(_text(path, body), str(path))
        found = read_rules(str(path), to_json(table).encode())
        if found.mistakes:  # what a cell says is no draft 7: its line is not that of the table
            raise ConfigError([replace(mistake.problem, place=Place(str(path), 0)) for mistake in found.mistakes])
        return table
    found = read_rules(str(path), body)
    if found.mistakes:
        raise ConfigError([mistake.problem for mistake in found.mistakes])
    content = unwrapped(jsonio.loads(body.removeprefix(b"\xef\xbb\xbf")))
    assert content is not None, "it was read just now"
    return content


def _text(path: Path, body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise exits.Failure(exits.CONFIG_WRONG, f"{path} is not UTF-8 (byte {error.start})", "Save the table as CSV in UTF-8.") from error


def write_file(target: Path, content: Mapping[str, Any]) -> None:
    """Make or replace a plan's file, as JSON."""
    from relay.control.plan_store import write_new, write_over
    from relay.workspace.plan_files import to_json

    if target.suffix.lower() == CSV:
        raise exits.Failure(
            exits.USAGE, f"{target} is a table; relay reads plans as JSON", "Name a .json file; `relay plan export --format csv` prints the table."
        )
    body = to_json(content).encode()
    if target.exists():
        write_over(target, body)
    else:
        write_new(target, body)


def save(target: Path, before: Mapping[str, Any], after: Mapping[str, Any], out: Output, *, write: bool) -> int:
    """Show how a plan's file changes, and change it when `write` says so."""
    from relay.workspace.plan_files import diff_plans, differs

    found = diff_plans(before, after)
    written = write and (differs(found) or not target.exists())
    if written:
        write_file(target, after)
    if out.json:
        out.document({"file": str(target), "written": written, "diff": found})
        return exits.DONE
    show_diff(found, out)
    if written:
        out.talk(f"{target} is written: {exits.count_of(len(after['rules']), 'rule')}.")
    elif differs(found):
        out.talk(f"{target} was not written; add --write.")
    else:
        out.talk(f"{target} says all of it already.")
    return exits.DONE


def show_diff(found: Mapping[str, Sequence[Mapping[str, Any]]], out: Output, *, indent: str = "") -> None:
    """A line for each rule that came or went, and for each value that changed."""
    for sign, color, entries in (("+", "ok", found["added"]), ("-", "fail", found["removed"])):
        for one in entries:
            out.line(indent + out.paint(printable(f"{sign} {_name(one)}"), color))
    for one in found["changed"]:
        out.line(indent + out.paint(printable(f"~ {_name(one)}"), "warn"))
        for change in one["changes"]:
            out.line(indent + printable(f"    {change['path']}: {_value(change['before'])} -> {_value(change['after'])}"))


def _name(rule: Mapping[str, Any]) -> str:
    from relay.workspace.plan_files import identity, label

    return label(identity(rule))


def _value(value: Any) -> str:
    text = "absent" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_CHARS else text[: VALUE_CHARS - 1] + "…"
