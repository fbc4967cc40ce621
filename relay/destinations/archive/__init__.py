"""Archive: every event as a line of JSON in compressed files on this machine's disk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from relay.destinations.archive.erase import ErasableFiles
from relay.destinations.archive.sink import ArchiveSink, Layout
from relay.errors import Problem
from relay.kit.definition import Action, Definition, Preset, Setting
from relay.kit.members import GZIP, ZSTD, has_zstd
from relay.kit.sink import EVERY_CALL, Archive, Sink, SinkContext

_CODECS = {"gzip": GZIP, "zstd": ZSTD, "none": None}


def root_of(settings: Mapping[str, Any], data_folder: Path) -> Path:
    """Where an archive lies."""
    # A relative path lies in the data folder; joined to an absolute one, the folder falls away.
    return data_folder / Path(str(settings.get("path") or "archive")).expanduser()


def _open(settings: dict[str, Any], context: SinkContext) -> Sink:
    codec = _CODECS[settings["compression"]]
    return ArchiveSink(Layout(root_of(settings, context.folder), int(settings["roll_bytes"]), int(settings["roll_minutes"]) * 60, codec), context)


def _open_archive(settings: dict[str, Any], context: SinkContext) -> Archive:
    return ErasableFiles(root_of(settings, context.folder), context.source_slugs)


def _check(settings: Mapping[str, Any]) -> list[Problem]:
    problems = [Problem(f"{name} must be at least 1") for name in ("roll_bytes", "roll_minutes") if int(settings.get(name) or 0) < 1]
    if settings.get("compression") == "zstd" and not has_zstd():
        problems.append(Problem("the library for zstd is not installed", None, "pip install 'relay[zstd]'"))
    return problems


DEFINITION = Definition(
    slug="archive",
    name="Archive",
    description="Keeps every event in compressed files on this machine: one folder per source, day and hour, one JSON message per line.",
    mode="storage",
    settings=(
        Setting("path", "Folder", default="", help="Empty: archive/ in the data folder. A relative path lies in the data folder."),
        Setting("roll_bytes", "Bytes per file", "integer", default=16_777_216, help="A file is finished at this size, before compression."),
        Setting("roll_minutes", "Minutes per file", "integer", default=60, help="A file is finished after this time, and when the hour is over."),
        Setting("compression", "Compression", default="gzip", choices=tuple(_CODECS), help="zstd needs the extra relay[zstd]."),
    ),
    actions={
        "write": Action(
            "write",
            "Write",
            description="Appends the event to the open file of its source.",
            default_trigger=EVERY_CALL,
            batch_size=500,
            linger_ms=20,
            batch_always=True,
        )
    },
    presets=(Preset("All events", "write", EVERY_CALL),),
    check=_check,
    open_sink=_open,
    open_archive=_open_archive,
)
