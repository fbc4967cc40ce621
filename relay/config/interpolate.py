"""`${NAME}`, `${NAME:-default}`, `${file:/path}`, `${credential:name}` and `$$` inside string values.

Runs after parsing, so that a value can never become syntax. A text that cannot be resolved is reported once and left as it is.
"""

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from relay.errors import Place, Problem

MAX_FILE_BYTES = 1_048_576
_TOKEN = re.compile(r"\$\$|\$\{([^}]*)(\}?)")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_CREDENTIAL = re.compile(r"(?!\.\.?$)[A-Za-z0-9_.@:-]+")
_FORMS = "use ${NAME}, ${NAME:-default}, ${file:/path} or ${credential:name}, and $$ for a dollar sign"


class _Unresolved(Exception):
    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


@dataclass(slots=True)
class Interpolation:
    """Resolves texts, and collects what it could not resolve and what it wants to warn about."""

    environment: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def resolve(self, text: str, label: str, place: Place) -> tuple[str, bool, bool]:
        """The resolved text, whether part of it came from outside the file, and whether all of it was found."""
        if "$" not in text:
            return text, False, True
        whole = Place(place.file, place.line)
        parts: list[str] = []
        outside, found, at = False, True, 0
        for match in _TOKEN.finditer(text):
            parts.append(text[at : match.start()])
            at = match.end()
            if match[0] == "$$":
                parts.append("$")
                continue
            try:
                value, foreign = self._lookup(match, label, whole)
            except _Unresolved as error:
                self.problems.append(Problem(f"{label}: {error.message}", whole, error.remedy))
                value, foreign, found = match[0], True, False
            parts.append(value)
            outside = outside or foreign
        return "".join([*parts, text[at:]]), outside, found

    def _lookup(self, match: re.Match[str], label: str, place: Place) -> tuple[str, bool]:
        inner = match[1]
        if not match[2]:
            raise _Unresolved("'${' without a closing '}'", _FORMS)
        if inner.startswith("file:"):
            return self._file(Path(place.file).parent / inner.removeprefix("file:"), label, place), True
        if inner.startswith("credential:"):
            return self._credential(inner.removeprefix("credential:")), True
        name = _NAME.fullmatch(inner)
        if name is None:
            raise _Unresolved(f"'{match[0]}' is no reference", _FORMS)
        value, default = self.environment.get(name[1]), name[2]
        if default is not None and not value:
            return default, False
        if value is None:
            raise _Unresolved(f"environment variable {name[1]} is not set", f"use ${{{name[1]}:-default}} to allow that")
        return value, True

    def _file(self, path: Path, label: str, place: Place) -> str:
        text = _read(path)
        if path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            self.warnings.append(Problem(f"{label}: the file {path} can be read or written by every user", place, f"chmod 600 {path}"))
        return text

    def _credential(self, name: str) -> str:
        folder = self.environment.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise _Unresolved(f"credential {name}: CREDENTIALS_DIRECTORY is not set", "systemd sets it for units with LoadCredential=")
        if not _CREDENTIAL.fullmatch(name):
            raise _Unresolved(f"'{name}' is no name of a credential", "use the name from the unit's LoadCredential= line")
        return _read(Path(folder) / name)


def _read(path: Path) -> str:
    try:
        if not path.is_file():
            raise _Unresolved(f"{path} is not a file", "check the path")
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
        text = data.decode()
    except OSError as error:
        raise _Unresolved(f"cannot read {path}: {error.strerror}", "check the path and the rights of relay's user") from error
    except ValueError as error:
        raise _Unresolved(f"{path} is not UTF-8 text", "store the value as text") from error
    if len(data) > MAX_FILE_BYTES:
        raise _Unresolved(f"{path} is larger than 1 MiB", "a value is a short text")
    return text.removesuffix("\n").removesuffix("\r")
