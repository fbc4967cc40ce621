"""How a destination is set up, for people: mappings, settings with secrets masked, and how it delivers. Pure."""

from dataclasses import asdict
from typing import Any

from relay.base.masking import mask
from relay.base.secret import MASK, Secret
from relay.control.operate import find_destination
from relay.control.rules_view import destination_rules, place_row
from relay.kit.definition import Setting
from relay.pipeline.compiled import Current
from relay.workspace.model import Destination


def setup_of(current: Current, slug: str, mask_names: tuple[str, ...]) -> dict[str, Any]:
    """`{mappings, settings, delivery, origin, keeps_all}` (`keeps_all`: no filters) and its rules. Raises RequestError 404 when no destination has the slug."""
    model = find_destination(current, slug)
    definition, place = current.compiled.destinations[model.destination_id].definition, model.place
    return destination_rules(model) | {
        "mappings": [
            {
                "id": one.subscription_id,
                "name": one.name,
                "action": one.action,
                "trigger": one.trigger,
                "mapping": mask(dict(one.mapping), mask_names),
                "enabled": one.enabled,
            }
            for one in model.subscriptions
        ],
        "settings": [_setting(one, model, mask_names) for one in definition.settings],
        "delivery": {
            "order": model.order,
            "concurrency": model.concurrency,
            "rate_per_s": model.rate_per_s,
            "timeout_s": model.timeout_s,
            "max_waiting": model.max_waiting,
            "retry": asdict(model.retry) | {"schedule_s": list(model.retry.schedule_s), "all": model.retry_all},
        },
        "origin": place_row(place),
        "keeps_all": definition.keeps_all,
    }


def _setting(setting: Setting, model: Destination, mask_names: tuple[str, ...]) -> dict[str, Any]:
    value = model.settings.get(setting.name)
    shown = (MASK if value else "") if setting.secret else mask({setting.name: _plain(value)}, mask_names)[setting.name]
    return {"name": setting.name, "label": setting.label, "value": shown, "secret": setting.secret}


def _plain(value: Any) -> Any:
    """What is wrapped as a secret inside of an ordinary setting stays hidden."""
    if isinstance(value, Secret):
        return MASK if value else ""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
