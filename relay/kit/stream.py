"""What the sinks share that append events to a stream of another system: names with placeholders, ids that fit into headers. Pure."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from relay.base.event import Event
from relay.base.ids import delivery_key
from relay.errors import Problem

PLACEHOLDERS: Final = ("source", "type", "event")
_PLACE = re.compile(r"\{([^{}]*)\}")
_MADE = dict.fromkeys(PLACEHOLDERS, "x")


def name_problems(setting: str, template: str, is_name: Callable[[str], bool]) -> list[Problem]:
    """What is wrong with a name that may hold `{source}`, `{type}` and `{event}`."""
    unknown = [found for found in _PLACE.findall(template) if found not in PLACEHOLDERS]
    if unknown:
        return [Problem(f"{setting}: there is no placeholder {{{unknown[0]}}}", None, "known are {source}, {type} and {event}")]
    made = _PLACE.sub(lambda found: _MADE[found[1]], template)
    return [] if is_name(made) else [Problem(f"{setting}: '{template}' cannot be a name there")]


def name_of(template: str, event: Event, slug: str, clean: Callable[[str], str]) -> str:
    """The name for one event; what stands for a placeholder is made fit by `clean`. An event without a name is called by its type."""
    if "{" not in template:
        return template
    values = {"source": slug, "type": event.type, "event": event.name or event.type}
    return _PLACE.sub(lambda found: clean(values[found[1]]), template)


def cleaner(allowed: str) -> Callable[[str], str]:
    """A `clean` that replaces each character but these (the inside of a character class) by `_`; never empty, at most 100 characters."""
    other = re.compile(f"[^{allowed}]")
    return lambda text: other.sub("_", text[:100]) or "_"


def header_id(event: Event) -> str:
    """The messageId, or the delivery's key when the messageId could not stand in a header."""
    found = event.message_id
    is_fit = found.isascii() and found.isprintable() and found == found.strip()
    return found if is_fit and found else delivery_key(event.source_id, found)


def user_key(event: Event) -> str:
    """Whose order the event belongs to: userId, else anonymousId; empty: nobody's."""
    return event.user_id or event.anonymous_id


def host_and_port(text: str, otherwise: int) -> tuple[str, int]:
    """`host`, `host:9092` or `[::1]:9092`. Raises ValueError when it is none of these."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?", text.strip())
    if found is None or not 1 <= int(found[3] or otherwise) <= 65_535:
        raise ValueError("not a host with a port")
    return found[1] or found[2], int(found[3] or otherwise)


def server_problems(setting: str, servers: Sequence[str], example: str) -> list[Problem]:
    """What is wrong with a list of servers."""
    problems = []
    for server in servers:
        try:
            host_and_port(server, 1)
        except ValueError:
            problems.append(Problem(f"{setting}: '{server}' is no host with a port", None, f"write it like {example}"))
    return problems
