"""The patterns of `match` in filters: `*` any run, `?` one character, `[a-z]` and `[^a-z]` classes, `\\x` a literal; time is linear in both."""

from collections.abc import Callable
from functools import lru_cache

One = tuple[tuple[str, str], ...]
"""Ranges of characters."""
Single = str | tuple[bool, One]
"""A character; or whether its ranges are wanted, and the ranges; the empty string is any character."""


@lru_cache(maxsize=1024)
def compile_glob(pattern: str) -> Callable[[str], bool]:
    """Whether a text matches as a whole; a malformed pattern matches nothing."""
    chunks = _read(pattern)
    if chunks is None:
        return lambda text: False
    if len(chunks) == 1:
        (whole,) = chunks
        return lambda text: len(text) == len(whole) and _fits(whole, text, 0)
    first, *middle, last = chunks

    def match(text: str) -> bool:
        end = len(text) - len(last)
        if end < len(first) or not _fits(first, text, 0) or not _fits(last, text, end):
            return False
        at = len(first)
        for chunk in middle:
            while at + len(chunk) <= end and not _fits(chunk, text, at):
                at += 1
            at += len(chunk)
            if at > end:
                return False
        return True

    return match


def _fits(chunk: list[Single], text: str, at: int) -> bool:
    for offset, single in enumerate(chunk):
        letter = text[at + offset]
        if isinstance(single, str):
            if single and letter != single:
                return False
        elif any(low <= letter <= high for low, high in single[1]) is not single[0]:
            return False
    return True


def _read(pattern: str) -> list[list[Single]] | None:
    """The chunks between stars."""
    chunks: list[list[Single]] = [[]]
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        at += 1
        if letter == "*":
            chunks.append([])
        elif letter == "?":
            chunks[-1].append("")
        elif letter == "[":
            read = _class(pattern, at)
            if read is None:
                return None
            single, at = read
            chunks[-1].append(single)
        elif letter == "\\":
            if at == len(pattern):
                return None
            chunks[-1].append(pattern[at])
            at += 1
        else:
            chunks[-1].append(letter)
    return chunks


def _class(pattern: str, at: int) -> tuple[Single, int] | None:
    wanted = not pattern.startswith("^", at)
    at += not wanted
    ranges: list[tuple[str, str]] = []
    while at < len(pattern):
        if pattern[at] == "]" and ranges:
            return (wanted, tuple(ranges)), at + 1
        low = _letter(pattern, at)
        if low is None:
            return None
        at = low[1]
        high: tuple[str, int] | None = low
        if pattern.startswith("-", at):
            high = _letter(pattern, at + 1)
        if high is None:
            return None
        at = high[1]
        ranges.append((low[0], high[0]))
    return None


def _letter(pattern: str, at: int) -> tuple[str, int] | None:
    if pattern[at : at + 1] in ("", "-", "]"):
        return None
    at += pattern[at] == "\\"
    return (pattern[at], at + 1) if at < len(pattern) else None
