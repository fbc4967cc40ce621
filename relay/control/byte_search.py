"""Counts where the bytes of an id stand in a file, and leaves out where they are a part of somebody else's id. Pure."""

from collections.abc import Iterable

from relay.database.scan import Window
from relay.kit.subjects import Subjects

_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_QUOTES = frozenset(b'"\\')


class ByteSearch:
    """`longer`: other ids that are known and hold one of these."""

    def __init__(self, users: Subjects, longer: Iterable[bytes]) -> None:
        self._users = users
        self._longer = sorted(set(longer))

    def count(self, window: Window) -> int:
        """How many traces begin in this window."""
        data = window.data
        return sum(window.start <= start < window.end and not self._is_of_another(data, start, end) for start, end in self._users.places(data))

    def _is_of_another(self, data: bytes, start: int, end: int) -> bool:
        """Whether these bytes are a part of a known longer id, or of a longer word that is a whole JSON string."""
        for other in self._longer:
            at = other.find(data[start:end])
            while at >= 0:
                if data[start - at : start - at + len(other)] == other:
                    return True
                at = other.find(data[start:end], at + 1)
        first, last = start, end
        while first > 0 and data[first - 1] in _WORD:
            first -= 1
        while last < len(data) and data[last] in _WORD:
            last += 1
        quoted = first > 0 and last < len(data) and data[first - 1] in _QUOTES and data[last] in _QUOTES
        return quoted and (first, last) != (start, end)
