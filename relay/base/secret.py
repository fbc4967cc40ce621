"""Secrets as a type: what is wrapped here never shows in a repr, a log, an answer or a page."""

from typing import Any

MASK = "•••"


class Secret:
    """A string that hides itself; `reveal()` is the only way to the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not copied or stored")


def reveal(value: Any) -> str:
    """The text of a setting that may or may not be wrapped; empty for None."""
    return value.reveal() if isinstance(value, Secret) else "" if value is None else str(value)
