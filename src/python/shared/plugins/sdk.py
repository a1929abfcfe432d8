"""Concurrency for plugin code, which may not use `threading` itself."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from shared.plugins.assets import download_asset, open_asset

__all__ = ["concurrent_api_calls", "download_asset", "open_asset", "parallel_io"]

Item = TypeVar("Item")
Result = TypeVar("Result")

# A worker that runs more threads than it may is ended, and several calls of an API step may be here at once.
_MOST_THREADS = 64

_log = logging.getLogger("shared.plugins.sdk")


def parallel_io(items: Iterable[Item], process_fn: Callable[[Item], Result], max_workers: int = 8) -> dict[int, Result]:
    """`process_fn(item)` in up to `max_workers` threads, 64 at most: index of the item to its result. Items that raised are absent."""
    work = list(items)
    results: dict[int, Result] = {}
    if not work:
        return results
    with ThreadPoolExecutor(max_workers=max(1, min(max_workers, len(work), _MOST_THREADS))) as threads:
        pending = [threads.submit(process_fn, item) for item in work]
        for index, future in enumerate(pending):
            error = future.exception()
            if error is None:
                results[index] = future.result()
            else:
                _log.warning("parallel_io: item %d failed: %s: %s", index, type(error).__name__, error)
    return results


def concurrent_api_calls(
    items: Iterable[Item], async_fn: Callable[[Item], Awaitable[Result]], max_concurrent: int = 10
) -> list[Result | None]:
    """`await async_fn(item)`, at most `max_concurrent` under way: results aligned with items, None where it raised."""
    work = list(items)

    async def call_all() -> list[Result | None]:
        permits = asyncio.Semaphore(max(1, max_concurrent))

        async def call(index: int, item: Item) -> Result | None:
            async with permits:
                try:
                    return await async_fn(item)
                except (Exception, asyncio.CancelledError) as error:
                    # A client that gives up may cancel its own task.
                    _log.warning("concurrent_api_calls: item %d failed: %s: %s", index, type(error).__name__, error)
                    return None

        return list(await asyncio.gather(*(call(index, item) for index, item in enumerate(work))))

    return _run(call_all()) if work else []


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    # The caller is inside an event loop already, which cannot be entered twice: a thread gets its own.
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, work).result()
