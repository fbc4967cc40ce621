"""The one place that starts asyncio tasks, so that none is lost and each has a name."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog

T = TypeVar("T")
log = structlog.get_logger("relay.base")

BACKOFF_FIRST_S = 1.0
BACKOFF_MAX_S = 60.0


def spawn(coroutine: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Start a task that the caller keeps, awaits or cancels."""
    return asyncio.get_running_loop().create_task(coroutine, name=name)


async def settle_now(awaitable: Awaitable[T], *, timeout_s: float) -> T:
    """Await `awaitable` to its end even when the caller is cancelled meanwhile; the cancellation goes on afterwards.

    Raises TimeoutError when it takes longer than `timeout_s`.
    """
    task = asyncio.ensure_future(awaitable)
    try:
        async with asyncio.timeout(timeout_s):
            return await asyncio.shield(task)
    except asyncio.CancelledError:
        async with asyncio.timeout(timeout_s):
            await asyncio.wait([task])
        raise


async def supervise(
    run: Callable[[], Awaitable[None]],
    *,
    name: str,
    on_crash: Callable[[Exception, float], None],
    first_s: float = BACKOFF_FIRST_S,
    max_s: float = BACKOFF_MAX_S,
) -> None:
    """Run `run` until it returns; after a crash call `on_crash(error, delay_s)` and start it again with growing delay.

    A run that lasted longer than `max_s` starts the delays anew. Ends by cancellation or by a plain return.
    """
    loop, delay_s = asyncio.get_running_loop(), first_s
    while True:
        started = loop.time()
        try:
            return await run()
        except Exception as error:  # fence: the supervisor
            if loop.time() - started > max_s:
                delay_s = first_s
            log.exception("actor.crashed", actor=name, delay_s=delay_s)
            on_crash(error, delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(max_s, delay_s * 2)
