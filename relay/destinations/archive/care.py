"""Care of an archive on this machine: what lies there, whether it is whole, and what may go. Blocking; works beside a running relay."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from relay.destinations.archive.files import PART, sync_folder
from relay.destinations.archive.manifest import Entry, Manifest, digest_of
from relay.destinations.archive.reader import all_files, count_of


@dataclass(frozen=True, slots=True)
class Listed:
    """One file of an archive."""

    file: str
    bytes: int
    entry: Entry | None
    """None: it still grows, or is not in the manifest."""

    @property
    def growing(self) -> bool:
        return self.file.endswith(PART)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a file: `missing`, `size`, `checksum`, `count`, `damaged` or `unlisted`."""

    file: str
    code: str
    message: str


def listed(root: Path, source: str = "", since_s: float = 0.0, until_s: float = 0.0) -> list[Listed]:
    """The files that may hold events of a source (slug; empty: all) and time, by source and time."""
    entries, found = Manifest(root).entries(), []
    for path in all_files(root):
        file = str(path.relative_to(root))
        entry = entries.get(file)
        if source and not file.startswith(f"source={source}/"):
            continue
        if entry and (entry.last_s < since_s or (until_s and entry.first_s >= until_s)):
            continue
        found.append(Listed(file, path.stat().st_size, entry))
    return found


def verify(root: Path) -> Iterator[tuple[str, Fault | None]]:
    """Each finished file, and what is wrong with it; those that the manifest names and that are gone come last.

    A file that still grows is not looked at.
    """
    entries = Manifest(root).entries()
    for path in all_files(root):
        file = str(path.relative_to(root))
        if not file.endswith(PART):
            yield file, _fault(path, file, entries.pop(file, None))
    for file in sorted(entries):
        if not (root / file).exists():  # one that was finished meanwhile is listed already, or will be
            yield file, Fault(file, "missing", "the manifest names it, and it is not there")


def _fault(path: Path, file: str, entry: Entry | None) -> Fault | None:
    try:
        if entry is None:
            count_of(path)
            return Fault(file, "unlisted", "it is not in the manifest")
        if path.stat().st_size != entry.bytes:
            return Fault(file, "size", f"it has {path.stat().st_size:,} bytes, not {entry.bytes:,}")
        if digest_of(path) != entry.sha256:
            return Fault(file, "checksum", "its SHA-256 is not the one in the manifest")
        held = count_of(path)
        return Fault(file, "count", f"it holds {held:,} events, not {entry.count:,}") if held != entry.count else None
    except OSError as error:
        return Fault(file, "damaged", error.strerror or str(error))


def prunable(root: Path, before_s: float) -> list[Listed]:
    """Finished files whose last event was received before `before_s`."""
    return [one for one in listed(root) if one.entry is not None and not one.growing and one.entry.last_s < before_s]


def prune(root: Path, files: list[Listed]) -> None:
    """Delete files, their lines in the manifest and the folders that become empty. A file goes before its line, so a crash is only `missing`."""
    manifest = Manifest(root)
    days: dict[Path, list[str]] = {}
    for one in files:
        days.setdefault(manifest.path_of(one.file), []).append(one.file)
    for names in days.values():
        with manifest.open(names[0]) as writing:
            for name in names:
                (root / name).unlink(missing_ok=True)
            writing.forget(set(names))
        for folder in sorted({(root / name).parent for name in names}):
            drop_empty(folder, root)


def drop_empty(folder: Path, root: Path) -> None:
    """Delete a folder, and those above it, as far as they are empty. A folder that relay is about to write to may be refused to go, or be made again: both are fine."""
    while folder != root:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
        sync_folder(folder)
