"""The dedup keys: which (source, messageId) came in the last 24 h, by hash.

Hashes are random, so a b-tree of them has a page to write for nearly every event. The last ones are therefore kept packed, one row per append
in order of seq (`dedup_recent`), with a copy in memory to search in. When there are FOLD_AT of them they move into the b-tree of the current
generation in order of hash, a slice with each append, so that one page takes many. All of it rides in the append's transaction.
"""

import sqlite3
from collections.abc import Callable, Sequence
from struct import pack, unpack

from relay.base.jsonio import dumps
from relay.outbox.sqlite.statements import SQL

FOLD_AT = 65_536
SLICE = 2_048
"""How many keys one append moves, when it does not bring more itself: a moment's work for a commit."""
INSERT_ROWS = 256

Execute = Callable[..., sqlite3.Cursor]


class RecentKeys:
    """The copy in memory. It is true for one head only: after a rollback, a restart or a fold it is read again."""

    __slots__ = ("folding", "folds_upto", "head", "seq_by_hash")

    def __init__(self) -> None:
        self.head = -1
        self.seq_by_hash: dict[int, int] = {}
        self.folding: list[int] = []
        """Hashes still on their way into the b-tree, the lowest last; all stay in `seq_by_hash` until the last one is there."""
        self.folds_upto = 0

    def at(self, head: int, execute: Execute) -> dict[int, int]:
        """The keys as the transaction sees them whose head is `head`."""
        if head != self.head:
            self.head, self.folding, self.seq_by_hash = head, [], {}
            for first, packed in execute(SQL["recent"]):
                hashes = unpack(f"<{len(packed) // 8}q", packed)
                self.seq_by_hash.update(zip(hashes, range(first, first + len(hashes)), strict=True))
        return self.seq_by_hash

    def known(self, hashes: Sequence[int], head: int, execute: Execute) -> dict[int, int]:
        """The seqs of those of the hashes that came before."""
        found: dict[int, int] = dict(execute(SQL["known"], {"hashes": dumps(hashes).decode()}).fetchall())
        by_hash = self.at(head, execute)
        if not by_hash.keys().isdisjoint(hashes):
            found |= {key: by_hash[key] for key in hashes if key in by_hash}
        return found

    def remember(self, first: int, hashes: Sequence[int], execute: Execute) -> None:
        """Keep the hashes of events with the seqs from `first` on; the caller makes the last of them the head."""
        by_hash = self.at(first - 1, execute)
        execute(SQL["remember"], (first, pack(f"<{len(hashes)}q", *hashes)))
        by_hash.update(zip(hashes, range(first, first + len(hashes)), strict=True))
        self.head = first + len(hashes) - 1
        if not self.folding and len(by_hash) >= FOLD_AT:
            self._start_fold()
        if self.folding:
            self._fold(max(SLICE, 2 * len(hashes)), execute)

    def fold_all(self, head: int, execute: Execute) -> None:
        """Move every key into the b-tree."""
        if self.at(head, execute):
            self._start_fold()
            self._fold(len(self.folding), execute)

    def _start_fold(self) -> None:
        self.folding, self.folds_upto = sorted(self.seq_by_hash, reverse=True), self.head

    def _fold(self, keys: int, execute: Execute) -> None:
        (current,) = execute(SQL["get_meta"], {"key": "dedup_current"}).fetchone()
        part = self.folding[-keys:]
        del self.folding[-keys:]
        part.reverse()
        for low in range(0, len(part), INSERT_ROWS):
            chunk = part[low : low + INSERT_ROWS]
            values = [value for key in chunk for value in (key, self.seq_by_hash[key])]
            execute(f"INSERT OR REPLACE INTO dedup_{current} (hash, seq) VALUES {','.join(['(?,?)'] * len(chunk))}", values)  # noqa: S608
        if not self.folding:
            execute(SQL["forget_recent"], {"upto": self.folds_upto})
            self.head = -1
