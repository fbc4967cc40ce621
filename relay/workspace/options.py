"""The settings of one destination: by Segment's key or in snake_case, checked against the definition, defaults filled in, secrets wrapped."""

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from relay.base.secret import Secret
from relay.config.reading import TableReader, mistake, nearest
from relay.config.tree import Tree, child
from relay.errors import Problem
from relay.kit.definition import Definition, Setting

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake_case(name: str) -> str:
    """`sharedSecret` as `shared_secret`."""
    return _WORD_START.sub("_", name).lower()


def read_options(reader: TableReader, definition: Definition, warnings: list[Problem]) -> dict[str, Any]:
    """The resolved settings, by Segment's key; `reader` stands at the `settings` table and collects the mistakes."""
    before = len(reader.problems)
    read = {setting.name: _read_option(reader, setting, warnings) for setting in definition.settings}
    values = {name: value for name, value in read.items() if value is not None}
    names = [setting.name for setting in definition.settings]
    snakes = [snake_case(name) for name in names]
    for key in reader.table:
        if key not in names and key not in snakes:
            reader.complain(f"unknown setting '{key}'", key, nearest(key, snakes if "_" in key else [*snakes, *names]))
    if len(reader.problems) == before and not reader.is_open(reader.path) and definition.check is not None:
        place = replace(reader.tree.place(reader.path), column=0, text="")
        for problem in definition.check(values):
            reader.problems.append(Problem(f"{reader.label}: {problem.message}", problem.place or place, problem.remedy))
    return values


def _read_option(reader: TableReader, setting: Setting, warnings: list[Problem]) -> Any:
    snake = snake_case(setting.name)
    given = [key for key in dict.fromkeys((setting.name, snake)) if key in reader.table]
    if len(given) > 1:
        reader.complain(f"'{setting.name}' and '{snake}' are the same setting", snake, "remove one of them")
        return setting.default
    value: Any = None
    if given and not reader.is_open(reader.at(given[0])):
        value = reader.table[given[0]]
        if setting.type == "list" and isinstance(value, str) and value:
            value = [value]  # one or several
        message, remedy = _mistake(setting, value)
        if message:
            _complain(reader, setting, given[0], message, remedy)
            return setting.default
    elif given:
        return setting.default
    if value is None or value == "":
        value = deepcopy(setting.default) if value is None or setting.default is not None else value
        if setting.required and value in (None, "", [], {}):
            reader.complain(f"setting '{snake}' is required", given[0] if given else "", setting.help)
    elif setting.secret and given:
        _warn_of_literals(reader.tree, reader.at(given[0]), value, reader.label, snake, warnings)
    return _wrap(value) if setting.secret else value


def _mistake(setting: Setting, value: Any) -> tuple[str, str]:
    if value == "" and not setting.required and setting.type == "string":
        return "", ""
    return mistake(value, setting.type, choices=setting.choices)


def _complain(reader: TableReader, setting: Setting, key: str, message: str, remedy: str) -> None:
    place = reader.tree.place(reader.at(key))
    if setting.secret:
        place = replace(place, column=0, text="")
    reader.problems.append(Problem(f"{reader.label}: setting '{key}' {message}", place, remedy))


def _wrap(value: Any) -> Any:
    if isinstance(value, str):
        return Secret(value)
    if isinstance(value, list | tuple):
        return [_wrap(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _wrap(item) for key, item in value.items()}
    return value


def _warn_of_literals(tree: Tree, path: str, value: Any, label: str, name: str, warnings: list[Problem]) -> None:
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else None
    if items is not None:
        for key, item in items:
            _warn_of_literals(tree, child(path, key), item, label, name, warnings)
    elif value and not tree.is_reference(path):
        warnings.append(literal_secret(tree, path, f"{label}: the secret '{name}' is written out in the configuration"))


def literal_secret(tree: Tree, path: str, message: str) -> Problem:
    """The warning about a secret that stands in a file; it never shows the line."""
    return Problem(message, replace(tree.place(path), column=0, text=""), "use ${NAME}, ${file:/path} or ${credential:name}")
