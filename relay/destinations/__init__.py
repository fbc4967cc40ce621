"""Every destination that relay can deliver to: one folder each, found by looking; packages from outside join by an entry point.

A folder's `__init__.py` exports `DEFINITION`. An outside package names its definition, or the module that exports one, in the
entry point group `relay.destinations`.
"""

import importlib
import importlib.util
import pkgutil
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files

import structlog

from relay.kit.definition import Definition

GROUP = "relay.destinations"

log = structlog.get_logger("relay.destinations")


def load_catalog() -> dict[str, Definition]:
    """Definitions by slug. An outside package that cannot be used is reported and left out."""
    catalog: dict[str, Definition] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        if module.ispkg:
            definition: Definition = importlib.import_module(f"{__name__}.{module.name}").DEFINITION
            catalog[definition.slug] = definition
    for entry in entry_points(group=GROUP):
        outside = _load_outside(entry, catalog)
        if outside is not None:
            catalog[outside.slug] = outside
    return catalog


def readme_of(slug: str) -> str:
    """The README.md in the package of a definition of the catalog; empty: it has none."""
    package = f"{__name__}.{slug.replace('-', '_')}"
    if importlib.util.find_spec(package) is None:
        entry = next((entry for entry in entry_points(group=GROUP) if _slug_of(entry) == slug), None)
        package = entry.module if entry is not None else ""
    try:
        return (files(package) / "README.md").read_text("utf-8") if package else ""
    except (OSError, ImportError, TypeError):
        return ""


def _slug_of(entry: EntryPoint) -> str:
    try:
        loaded = entry.load()
    except Exception:  # fence: load_catalog has told of it
        return ""
    return str(getattr(getattr(loaded, "DEFINITION", loaded), "slug", ""))


def _load_outside(entry: EntryPoint, catalog: dict[str, Definition]) -> Definition | None:
    try:
        loaded = entry.load()
    except Exception:  # fence: somebody else's package must not keep relay from starting
        log.exception("definition.refused", entry_point=entry.name, reason="it cannot be imported")
        return None
    definition = getattr(loaded, "DEFINITION", loaded)
    if not isinstance(definition, Definition):
        log.error("definition.refused", entry_point=entry.name, reason="it is no Definition")
        return None
    if definition.slug in catalog:
        log.error("definition.refused", entry_point=entry.name, definition=definition.slug, reason="the slug is taken")
        return None
    return definition
