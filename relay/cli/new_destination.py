"""`relay new-destination`: a destination that works, to be turned into the one that is wanted; in a checkout of relay or as a package of its own."""

import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

import click

from relay.cli import exits
from relay.cli.output import Output, output_options

SLUG: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
SLUG_CHARS: Final = 40
INSIDE: Final[Mapping[str, str]] = {
    "definition": "relay/destinations/{module}/__init__.py",
    "send": "relay/destinations/{module}/send.py",
    "cases": "relay/destinations/{module}/cases.json",
    "readme": "relay/destinations/{module}/README.md",
    "test": "tests/destinations/test_{module}.py",
}
"""Template to path, in a checkout of relay."""
OUTSIDE: Final[Mapping[str, str]] = {
    "pyproject": "pyproject.toml",
    "project_readme": "README.md",
    "definition": "relay_{module}/__init__.py",
    "send": "relay_{module}/send.py",
    "cases": "relay_{module}/cases.json",
    "readme": "relay_{module}/README.md",
    "test": "tests/test_relay_{module}.py",
}
"""The same for a package of its own."""


@click.command("new-destination")
@click.argument("slug")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Write a package of its own there, also inside a checkout.")
@output_options
def new_destination(slug: str, folder: Path | None, out: Output) -> int:
    """Write a destination of your own from a template: definition, action, cases, README and test, which passes at once.

    \b
    relay new-destination acme-crm
    relay new-destination acme-crm --folder ../relay-acme-crm
    """
    from relay.destinations import load_catalog

    if not SLUG.fullmatch(slug) or len(slug) > SLUG_CHARS:
        raise click.BadParameter(f"{slug!r} is no slug: lower-case letters, digits and single hyphens, such as acme-crm.", param_hint="SLUG")
    if slug in load_catalog():
        raise exits.Failure(exits.CANNOT_CREATE, f"there is a definition {slug!r} already", "See them all: relay catalog")
    checkout = None if folder else _checkout(Path.cwd())
    root = checkout or folder or Path(f"relay-{slug}")
    module = slug.replace("-", "_")
    package = f"relay.destinations.{module}" if checkout else f"relay_{module}"
    words = {"slug": slug, "package": package, "name": slug.replace("-", " ").title(), "key": f"{module.upper()}_KEY", "project": f"relay-{slug}"}
    paths = {name: root / path.format(module=module) for name, path in (INSIDE if checkout else OUTSIDE).items()}
    _write(paths, words)
    steps = _next_steps(root, paths, package, slug, inside=checkout is not None)
    if out.json:
        out.document({"slug": slug, "package": package, "folder": str(root), "files": [str(path) for path in paths.values()], "next": steps})
        return exits.DONE
    for path in paths.values():
        out.line(str(path))
    out.talk("Next:")
    for step in steps:
        out.talk(f"  {step}")
    return exits.DONE


def _checkout(start: Path) -> Path | None:
    """The checkout of relay that `start` lies in."""
    for folder in (start, *start.parents):
        project = folder / "pyproject.toml"
        if project.is_file() and (folder / "relay/destinations/__init__.py").is_file():
            try:
                name = tomllib.loads(project.read_text("utf-8")).get("project", {}).get("name")
            except (tomllib.TOMLDecodeError, UnicodeDecodeError):
                continue
            if name == "relay":
                return folder
    return None


def _write(paths: Mapping[str, Path], words: Mapping[str, str]) -> None:
    """All files or none: what exists is never written over."""
    there = [path for path in paths.values() if path.exists()]
    if there:
        raise exits.Failure(exits.CANNOT_CREATE, f"{there[0]} exists already", "Choose another slug, or another --folder.")
    templates = files("relay.cli") / "template"
    for name, path in paths.items():
        text = (templates / f"{name}.tmpl").read_text("utf-8")
        for word, value in words.items():
            text = text.replace(f"@@{word}@@", value)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def _next_steps(root: Path, paths: Mapping[str, Path], package: str, slug: str, *, inside: bool) -> list[str]:
    here = "" if root == Path.cwd() else f"cd {root} && "
    cases, test = paths["cases"].relative_to(root), paths["test"].relative_to(root)
    if inside:
        return [f"{here}relay try --cases {cases}", f"{here}pytest {test}", f"relay catalog {slug}"]
    return [f"{here}relay try --definition {package} --cases {cases}", f"{here}pytest", f"{here}pip install -e ."]
