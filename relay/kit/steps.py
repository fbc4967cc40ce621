"""Pure functions that must ask: a generator yields an ask, gets the answer, and returns its result."""

from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import TypeVar

from relay.kit.request import Request, Response

T = TypeVar("T")

Steps = Generator[Request, Response, T]
"""Yields requests, receives responses, returns a T."""


async def drive(steps: Steps[T], answer: Callable[[Request], Awaitable[Response]]) -> T:
    """Run `steps` to its result; an error raised by `answer` ends the steps and goes on to the caller."""
    try:
        request = next(steps)
        while True:
            request = steps.send(await answer(request))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        steps.close()


def rehearse(steps: Steps[T], answers: Iterable[Response]) -> tuple[T | None, list[Request]]:
    """Run `steps` without I/O against scripted answers: its result (None when the answers run out) and what it asked."""
    asked: list[Request] = []
    script = iter(answers)
    try:
        asked.append(next(steps))
        for response in script:
            asked.append(steps.send(response))  # noqa: PERF401 - a StopIteration must not pass through a generator expression
    except StopIteration as end:
        return end.value, asked
    finally:
        steps.close()
    return None, asked
