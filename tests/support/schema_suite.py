"""The JSON-Schema-Test-Suite for draft 7, from the source package of PyPI's `jsonschema`, which brings it along; fetched once and kept in build/."""

import hashlib
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

VERSION = "4.26.0"
SHA256 = "0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326"
FOLDER = Path(__file__).resolve().parents[2] / "build" / "schema-suite" / VERSION
FETCH_S = 300


class Case(NamedTuple):
    """One instance, and whether its schema takes it."""

    name: str
    schema: Any
    data: Any
    valid: bool


def cases(keyword: str) -> Iterator[Case]:
    """The cases of one file of the suite, such as `required` or `optional/format/date-time`."""
    _fetch()
    for group in json.loads((FOLDER / f"{keyword}.json").read_text()):
        for test in group["tests"]:
            yield Case(f"{keyword}: {group['description']}: {test['description']}", group["schema"], test["data"], test["valid"])


def _fetch() -> None:
    if (FOLDER / "ready").exists():
        return
    with TemporaryDirectory() as scratch:
        asked = ["download", "--quiet", "--no-deps", "--no-binary", "jsonschema", "--dest", scratch, f"jsonschema=={VERSION}"]
        subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *asked], timeout=FETCH_S, check=True, stdout=subprocess.DEVNULL)
        archive = Path(scratch) / f"jsonschema-{VERSION}.tar.gz"
        assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256
        top = f"jsonschema-{VERSION}/json/tests/draft7/"
        with tarfile.open(archive) as packed:
            for member in packed.getmembers():
                content = packed.extractfile(member) if member.name.startswith(top) and member.name.endswith(".json") else None
                if content is not None:
                    path = FOLDER / member.name.removeprefix(top)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content.read())
    (FOLDER / "ready").touch()
