"""Waiting for a promise to come true, instead of sleeping."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any


async def eventually(check: Callable[[], Any | Awaitable[Any]], timeout_s: float = 15.0, *, every_s: float = 0.01) -> Any:
    """Ask `check` (plain or async) until its answer is true, and return it; fails with the last answer when that takes too long.

    An AssertionError in `check` counts as not yet.
    """
    loop = asyncio.get_running_loop()
    end, last = loop.time() + timeout_s, None
    while True:
        try:
            last = check()
            if inspect.isawaitable(last):
                last = await last
            if last:
                return last
        except AssertionError as error:
            last = error
        if loop.time() >= end:
            raise AssertionError(f"not true within {timeout_s} s; last: {last!r}")
        await asyncio.sleep(every_s)
