"""The catalog of destinations as JSON: what each definition takes, asks for and can do. Read by `relay catalog` and by the console."""

from collections.abc import Callable
from typing import Any

from relay.base.event import TYPES
from relay.errors import RequestError
from relay.kit.definition import Action, Catalog, Definition, Field, Preset, Setting, When
from relay.kit.js import ABSENT
from relay.workspace.options import snake_case


class CatalogView:
    """All definitions of this relay; `readme_of` gives the README of a definition, empty when it has none."""

    def __init__(self, catalog: Catalog, readme_of: Callable[[str], str]) -> None:
        self._catalog = catalog
        self._readme_of = readme_of

    def all(self) -> dict[str, Any]:
        """`{definitions: [...]}` by slug, without their READMEs."""
        return {"definitions": [definition_json(self._catalog[slug]) for slug in sorted(self._catalog)]}

    def one(self, slug: str) -> dict[str, Any]:
        """One definition with its `readme`. Raises RequestError 404."""
        definition = self._catalog.get(slug)
        if definition is None:
            raise RequestError(404, "not_found", f"there is no definition {slug!r}; there are: {', '.join(sorted(self._catalog))}")
        return definition_json(definition) | {"readme": self._readme_of(slug)}


def definition_json(definition: Definition) -> dict[str, Any]:
    """One definition; `methods` in the order of Segment's calls, `has_test`: `relay check` can reach it; `has_tables`: it takes `sync`."""
    return {
        "slug": definition.slug,
        "name": definition.name,
        "description": definition.description,
        "mode": definition.mode,
        "methods": [kind for kind in TYPES if kind in definition.methods],
        "has_test": definition.test is not None,
        "has_tables": definition.has_tables,
        "takes_filters": not definition.keeps_all,
        "settings": [_setting(one) for one in definition.settings],
        "actions": [_action(one) for one in definition.actions.values()],
        "presets": [_preset(one) for one in definition.presets],
    }


def _setting(setting: Setting) -> dict[str, Any]:
    """`key`: how a file may write it."""
    return {
        "name": setting.name,
        "key": snake_case(setting.name),
        "label": setting.label,
        "type": setting.type,
        "required": setting.required,
        "secret": setting.secret,
        "default": setting.default,
        "choices": list(setting.choices),
        "help": setting.help,
    }


def _action(action: Action) -> dict[str, Any]:
    return {
        "slug": action.slug,
        "title": action.title,
        "description": action.description,
        "trigger": action.default_trigger,
        "batch": _batch(action),
        "is_repeatable": action.is_repeatable,
        "fields": [_field(one) for one in action.fields],
    }


def _batch(action: Action) -> dict[str, Any] | None:
    """None: one event, one request. `always`: without being asked by the field `enable_batching`."""
    if action.perform_batch is None:
        return None
    return {"events": action.batch_size, "bytes": action.batch_bytes, "keys": list(action.batch_keys), "always": action.batch_always}


def _field(field: Field) -> dict[str, Any]:
    told = {
        "name": field.name,
        "label": field.label,
        "type": field.type,
        "required": field.required is True,
        "required_when": _when(field.required),
        "multiple": field.multiple,
        "format": field.format,
        "choices": list(field.choices),
        "default": field.default,
        "help": field.help,
    }
    return told | ({"properties": [_field(one) for one in field.properties]} if field.properties else {})


def _when(required: bool | When) -> str:
    """The conditions under which a field is required, for people; empty: there are none."""
    if isinstance(required, bool):
        return ""
    joined = " and " if required.match == "all" else " or "
    return joined.join(
        f"{one.field} {'is not' if one.is_not else 'is'} {'empty' if one.value is ABSENT else one.value}" for one in required.conditions
    )


def _preset(preset: Preset) -> dict[str, Any]:
    return {
        "name": preset.name,
        "action": preset.action,
        "trigger": preset.trigger,
        "mapping": dict(preset.mapping),
        "automatic": preset.automatic,
    }
