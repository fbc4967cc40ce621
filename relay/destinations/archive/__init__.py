"""Archive: every event as a line of JSON in compressed files on this machine's disk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from relay.destinations.archive.sink import ArchiveSink, Layout
from relay.errors import Problem
from relay.kit.definition import Action, Definition, Preset, Setting
from relay.kit.sink import Sink, SinkContext

_EVERY_CALL = 'type = "track" or type = "identify" or type = "page" or type = "screen" or type = "group" or type = "alias"'


def _open(settings: dict[str, Any], context: SinkContext) -> Sink:
    # A relative path lies in the data folder; joined to an absolute one, the folder falls away.
    root = context.folder / Path(str(settings.get("path") or "archive")).expanduser()
    layout = Layout(root, int(settings["roll_bytes"]), int(settings["roll_minutes"]) * 60, settings["compression"] == "gzip")
    return ArchiveSink(layout, context)


def _check(settings: Mapping[str, Any]) -> list[Problem]:
    return [Problem(f"{name} must be at least 1") for name in ("roll_bytes", "roll_minutes") if int(settings.get(name) or 0) < 1]


DEFINITION = Definition(
    slug="archive",
    name="Archive",
    description="Keeps every event in compressed files on this machine: one folder per source, day and hour, one JSON message per line.",
    mode="storage",
    settings=(
        Setting("path", "Folder", default="", help="Empty: archive/ in the data folder. A relative path lies in the data folder."),
        Setting("roll_bytes", "Bytes per file", "integer", default=16_777_216, help="A file is finished at this size, before compression."),
        Setting("roll_minutes", "Minutes per file", "integer", default=60, help="A file is finished after this time, and when the hour is over."),
        Setting("compression", "Compression", default="gzip", choices=("gzip", "none")),
    ),
    actions={
        "write": Action(
            "write",
            "Write",
            description="Appends the event to the open file of its source.",
            default_trigger=_EVERY_CALL,
            batch_size=500,
            linger_ms=20,
            batch_always=True,
        )
    },
    presets=(Preset("All events", "write", _EVERY_CALL),),
    check=_check,
    open_sink=_open,
)
