"""The worker's one event loop and its threads: what steps await runs here, in batches.

The loop stands still between calls of a step; clients that a processor keeps stay bound to it for the worker's life.
"""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from plugin_worker.limits import CALL_STACK, PROGRESS_SECONDS

T = TypeVar("T")


class EventLoop:
    """`threads`: most that call plugin code at once."""

    def __init__(self, threads: int) -> None:
        self.threads = max(1, threads)
        # The jobs that are under way shall end.
        self.ending = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._in_threads: set[Future[Any]] = set()

    def run(self, awaitable: Awaitable[T]) -> T:
        """Its result. Raises what it raises."""
        return self._started().run_until_complete(_awaited(awaitable))

    def in_order(
        self, jobs: Iterable[Callable[[], Coroutine[Any, Any, T]]], ahead: int, beat: Callable[[], None]
    ) -> Iterator[T]:
        """What the jobs return, in their order, while `ahead` of them are under way. `beat` is called about twice a second.

        The first exception ends all of them, and is raised when none runs any more.
        """
        loop = self._started()
        waiting = iter(jobs)
        tasks: list[asyncio.Task[T]] = []
        try:
            while True:
                while len(tasks) < ahead and (job := next(waiting, None)) is not None:
                    tasks.append(loop.create_task(job()))
                if not tasks:
                    return
                running = [task for task in tasks if not task.done()]
                if running:
                    some = asyncio.wait(running, timeout=PROGRESS_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                    ended, _ = loop.run_until_complete(some)
                    for task in ended:
                        task.result()
                beat()
                while tasks and tasks[0].done():
                    yield tasks.pop(0).result()
        finally:
            self._end(loop, tasks)

    async def in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="step")
        usual = threading.stack_size(CALL_STACK)
        try:
            future = self._pool.submit(_with_loop, function, *arguments)
        finally:
            threading.stack_size(usual)
        self._in_threads.add(future)
        future.add_done_callback(self._in_threads.discard)
        return await asyncio.wrap_future(future)

    async def within(self, seconds: float | None, awaitable: Awaitable[T]) -> T:
        """Its result. Raises what it raises, TimeoutError when it was canceled for taking longer.

        Not by asyncio.wait_for, which makes a task of it: one that raises SystemExit would end the loop.
        """
        task = asyncio.current_task()
        if seconds is None or task is None:
            return await awaitable
        late: list[bool] = []

        def cancel() -> None:
            late.append(True)
            task.cancel()

        timer = asyncio.get_running_loop().call_later(seconds, cancel)
        try:
            return await awaitable
        except asyncio.CancelledError as error:
            if not late or self.ending:
                raise
            if hasattr(task, "uncancel"):
                task.uncancel()
            raise TimeoutError(f"The call had not ended after {seconds:g} s.") from error
        finally:
            timer.cancel()

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop

    def _end(self, loop: asyncio.AbstractEventLoop, tasks: list["asyncio.Task[T]"]) -> None:
        """Nothing of the plugin runs on behind the back of whoever goes on. A thread cannot be stopped: it is waited for."""
        running = [task for task in tasks if not task.done()]
        self.ending = True
        for task in running:
            task.cancel()
        if running:
            loop.run_until_complete(asyncio.wait(running))
        wait(list(self._in_threads))
        for task in tasks:
            # Looked at: the loop would print of one that nobody asked.
            if task.done() and not task.cancelled():
                task.exception()
        self.ending = False


def is_async(service: Any) -> bool:
    """Whether calling it gives something to await, as far as can be seen without a call."""
    return inspect.iscoroutinefunction(service) or inspect.iscoroutinefunction(getattr(type(service), "__call__", None))


def _with_loop(function: Callable[..., T], *arguments: Any) -> T:
    """As in the main thread, asyncio.get_event_loop() finds one, though asyncio.run of an earlier call has taken it away."""
    try:
        asyncio.get_event_loop()
    except RuntimeError:
        asyncio.set_event_loop(asyncio.new_event_loop())
    return function(*arguments)


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable
