"""Work that is written down before it is done, as long as an event in it may have ended the last run (`crashes`)."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar

from relay.delivery.crashes import Caution
from relay.delivery.stream import Stream

T = TypeVar("T")


async def carefully(alone: asyncio.Lock, hands: Sequence[tuple[Stream, Caution, str]], work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do `work` with these in hand. `alone` is held while a suspect is handled, by whichever actor. Cancelled: what is in hand came back."""
    is_suspect = any(caution.is_suspect(name) for _, caution, name in hands)
    streams = {stream.name: stream for stream, _, _ in hands}.values()
    async with alone if is_suspect else nullcontext():
        for _, caution, name in hands:
            caution.take(name)
        try:
            for stream in streams:
                await stream.note()
            result = await work()
        finally:
            for _, caution, name in hands:
                caution.put_back(name)
        if is_suspect:  # on disk before the next suspect is taken, or the end that that one brings would count for this one too
            for stream in streams:
                await stream.note()
        return result
