"""The configuration as a tree: files, `conf.d`, environment and `--set` merged, references resolved, every value with its place.

Promises: all mistakes at once, each with its place; a value never becomes syntax; nothing but the named files is read.
"""

import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from relay.base.jsonio import INT64_MIN, UINT64_MAX
from relay.config.interpolate import Interpolation
from relay.config.locate import Keys, Located, locate
from relay.errors import ConfigError, Place, Problem

SYSTEM_FILE = Path("/etc/relay/relay.toml")
PREFIX = "RELAY__"
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LAST_PART = re.compile(r'(?:\.?"(?:[^"\\]|\\.)*"|\.?[A-Za-z0-9_-]+|\[\d+\])$')
_SYNTAX_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Tree:
    """What was configured. Paths look like `destination[0].settings.url`; odd keys are quoted as in JSON."""

    data: dict[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    """`environment` or `--set`, for values from there."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """The text of a value from the environment or `--set`, before it was read as a literal."""
    references: frozenset[str] = frozenset()
    unresolved: frozenset[str] = frozenset()
    """Values whose reference was not found: reported already, so nobody judges the value."""
    warnings: tuple[Problem, ...] = ()

    def place(self, path: str) -> Place:
        """Where `path` stands, else where the nearest thing around it stands."""
        while path:
            if found := self.places.get(path):
                return found
            path = path[: match.start()] if (match := _LAST_PART.search(path)) else ""
        return Place(str(self.files[0]), 1) if self.files else Place("configuration", 0)

    def origin(self, path: str) -> str:
        """`default`, `file:line`, `environment` or `--set`."""
        return self.origins.get(path) or (str(self.places[path]) if path in self.places else "default")

    def is_reference(self, path: str) -> bool:
        """Whether the value came from the environment, a file or a credential, and so is not written out in the configuration."""
        return path in self.references or self.origins.get(path) == "environment"


def child(path: str, key: str | int) -> str:
    """The path of `key` below `path`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    name = key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False)
    return f"{path}.{name}" if path else name


def path_of(keys: Keys) -> str:
    """The path with these parts."""
    path = ""
    for key in keys:
        path = child(path, key)
    return path


def read_tree(path: Path | None, *, environment: Mapping[str, str], overrides: Sequence[str] = ()) -> Tree:
    """The tree of `path`, or of the first file of the search order. Raises ConfigError with every mistake."""
    tree, problems = survey(path, environment=environment, overrides=overrides)
    if problems:
        raise ConfigError(problems)
    return tree


def survey(path: Path | None, *, environment: Mapping[str, str], overrides: Sequence[str] = ()) -> tuple[Tree, list[Problem]]:
    """As `read_tree`, but hands the mistakes back, so that a later reader can add its own."""
    builder = _Builder(environment)
    main = find_file(path, environment)
    if main is not None:
        builder.add_file(main)
        for extra in sorted((main.parent / "conf.d").glob("*.toml")):
            builder.add_file(extra)
    builder.add_environment()
    for override in overrides:
        builder.add_override(override)
    return builder.build(), builder.problems


def find_file(path: Path | None, environment: Mapping[str, str]) -> Path | None:
    """The main file: `path`, else RELAY_CONFIG, ./relay.toml, /etc/relay/relay.toml; None when there is none."""
    if path is not None:
        return path
    if named := environment.get("RELAY_CONFIG"):
        return Path(named)
    return next((candidate for candidate in (Path("relay.toml"), SYSTEM_FILE) if candidate.is_file()), None)


class _Builder:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.data: dict[str, Any] = {}
        self.files: list[Path] = []
        self.places: dict[Keys, Place] = {}
        self.origins: dict[Keys, str] = {}
        self.texts: dict[Keys, str] = {}
        self.references: set[Keys] = set()
        self.unresolved: set[Keys] = set()
        self.problems: list[Problem] = []
        self.interpolation = Interpolation(environment, self.problems)

    def add_file(self, path: Path) -> None:
        self.files.append(path)
        try:
            text = path.read_bytes().decode().replace("\r\n", "\n")
            data = tomllib.loads(text)
            located = locate(str(path), text)
        except OSError as error:
            self._problem(f"cannot be read: {error.strerror}", Place(str(path), 0), "check the path and the rights of relay's user")
        except tomllib.TOMLDecodeError as error:
            self.problems.append(_syntax_problem(path, text, error))
        except UnicodeDecodeError as error:
            self._problem(f"is not UTF-8 (byte {error.start})", Place(str(path), 0), "save the file as UTF-8")
        except RecursionError:
            self._problem("is nested too deep", Place(str(path), 0), "")
        else:
            self._merge(self.data, data, (), (), located)

    def add_environment(self) -> None:
        for name in sorted(self.environment):
            if name.startswith(PREFIX):
                keys = name.removeprefix(PREFIX).lower().split("__")
                self._set(keys, self.environment[name], "environment", Place(f"environment variable {name}", 0))

    def add_override(self, override: str) -> None:
        name, equals, text = override.partition("=")
        place = Place(f"--set {name.strip()}", 0)
        if not equals:
            self._problem("has no value", place, "write --set server.listen=127.0.0.1:8000")
            return
        self._set(name.strip().split("."), text, "--set", place)

    def build(self) -> Tree:
        resolved = self._resolve(self.data, ())
        return Tree(
            data=resolved,
            files=tuple(self.files),
            places={path_of(keys): place for keys, place in self.places.items()},
            origins={path_of(keys): origin for keys, origin in self.origins.items()},
            texts={path_of(keys): text for keys, text in self.texts.items()},
            references=frozenset(path_of(keys) for keys in self.references),
            unresolved=frozenset(path_of(keys) for keys in self.unresolved),
            warnings=tuple(self.interpolation.warnings),
        )

    def _problem(self, message: str, place: Place | None, remedy: str) -> None:
        self.problems.append(Problem(message, place, remedy))

    def _merge(self, into: dict[str, Any], new: dict[str, Any], at: Keys, source: Keys, located: Located) -> None:
        for key, value in new.items():
            path, origin = (*at, key), (*source, key)
            if key not in into:
                into[key] = value
                self._adopt(value, path, origin, located)
                continue
            present = into[key]
            if isinstance(present, dict) and isinstance(value, dict):
                self._merge(present, value, path, origin, located)
            elif _is_tables(present) and _is_tables(value):
                offset = len(present)
                present.extend(value)
                for index, item in enumerate(value):
                    self._adopt(item, (*path, offset + index), (*origin, index), located)
            else:
                first = self.places.get(path)
                self._problem(f"'{path_of(path)}' is set twice", located.place(origin), f"first set in {first}" if first else "")

    def _adopt(self, value: Any, path: Keys, origin: Keys, located: Located) -> None:
        if place := located.place(origin):
            self.places[path] = place
        for key, item in _items(value):
            self._adopt(item, (*path, key), (*origin, key), located)

    def _set(self, names: list[str], text: str, origin: str, place: Place) -> None:
        if len(names) < 2 or not all(names):
            form = f"{PREFIX}SERVER__LISTEN" if origin == "environment" else "server.listen"
            self._problem("does not name a table and a setting", place, f"write it like {form}")
            return
        node: Any = self.data
        for name in names[:-1]:
            node = node.setdefault(name, {})
            if not isinstance(node, dict):
                self._problem(f"'{name}' is no table, so nothing in it can be set from here", place, "set it in the file")
                return
        if _is_tables(node.get(names[-1])) or isinstance(node.get(names[-1]), dict):
            self._problem(f"'{names[-1]}' is a table and cannot be replaced as a whole", place, "set one of its values")
            return
        keys: Keys = tuple(names)
        node[names[-1]] = _literal(text)
        for position in range(1, len(keys)):
            self.places.setdefault(keys[:position], place)
        self.places[keys], self.origins[keys], self.texts[keys] = place, origin, text

    def _resolve(self, value: Any, path: Keys) -> Any:
        if isinstance(value, dict):
            return {key: self._resolve(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._resolve(item, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, str) and "$" in value and self.origins.get(path) != "environment":
            text, outside, found = self.interpolation.resolve(value, label(self.data, path), self._near(path))
            if outside:
                self.references.add(path)
            if not found:
                self.unresolved.add(path)
            return text
        if isinstance(value, date | datetime | time):  # JSON has no dates, so nothing in relay takes one
            return value.isoformat()
        if _fits_no_json(value):
            self.problems.append(
                Problem(f"{label(self.data, path)}: {value} is no number that JSON can hold", self._near(path), "write digits, at most 19 of them")
            )
            self.unresolved.add(path)
            return 0
        return value

    def _near(self, path: Keys) -> Place:
        return next((self.places[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.places), Place("configuration", 0))


def label(data: Mapping[str, Any], keys: Keys) -> str:
    """How mistakes name what `keys` is part of: `destination "orders"`, `source 2`, else the path itself."""
    if len(keys) > 1 and keys[0] in ("source", "destination") and isinstance(keys[1], int):
        item = data[str(keys[0])][keys[1]]
        slug = item.get("slug") if isinstance(item, dict) else None
        return f'{keys[0]} "{slug}"' if isinstance(slug, str) and slug else f"{keys[0]} {keys[1] + 1}"
    return path_of(keys)


def _items(value: Any) -> list[tuple[str | int, Any]]:
    return list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _fits_no_json(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, int) and not INT64_MIN <= value <= UINT64_MAX


def _literal(text: str) -> Any:
    """`text` as a TOML value where it is one, else as it is."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _syntax_problem(path: Path, text: str, error: tomllib.TOMLDecodeError) -> Problem:
    message = str(error)
    lines = text.split("\n")
    line, column = len(lines), 0
    if match := _SYNTAX_PLACE.search(message):  # Python 3.11 tells the place in the text alone
        message = message[: match.start()]
        line, column = int(match[1] or line), int(match[2] or 0)
    # The line itself stays hidden: it may hold a secret, and without syntax nobody can tell where.
    where = f" (column {column})" if column else " (at the end of the file)"
    return Problem(f"{message[:1].lower()}{message[1:]}{where}", Place(str(path), line, 0), "mend the TOML syntax; strings stand in quotes")
