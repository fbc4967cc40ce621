"""The bytes of a file, window by window: for a search in what SQLite itself would not show (free pages, old frames). Blocking."""

import os
from collections.abc import Iterator
from typing import Final, NamedTuple

WINDOW_BYTES: Final = 4 * 1024 * 1024
AROUND_BYTES: Final = 64 * 1024
"""What a window shows of its neighbours, so that nothing is cut."""


class Window(NamedTuple):
    """A piece of a file: what begins from `start` on and before `end` of `data` is this window's, the rest is its surroundings."""

    data: bytes
    start: int
    end: int


def windows(descriptor: int) -> Iterator[Window]:
    """All of an open file, as it is at the moment."""
    offset = 0
    while True:
        before = min(offset, AROUND_BYTES)
        data = os.pread(descriptor, before + WINDOW_BYTES + AROUND_BYTES, offset - before)
        if len(data) <= before:
            return
        yield Window(data, before, min(len(data), before + WINDOW_BYTES))
        offset += WINDOW_BYTES


def windows_of(data: bytes) -> Iterator[Window]:
    """The same of bytes that are in memory already."""
    yield Window(data, 0, len(data))
