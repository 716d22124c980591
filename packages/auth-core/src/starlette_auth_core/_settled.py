"""Work that has to come to its end, though the task that started it is cancelled."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from anyio import CancelScope

__all__ = ["running_trio", "settled"]


async def settled(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Await *work* to its end, and let a cancellation that came meanwhile go on then.

    Args:
        work: Makes the coroutine, which must end in time by itself.
    """
    with CancelScope(shield=True):
        if running_trio() is not None:
            await work()
            return
        # The shield of anyio does not hold against `task.cancel()` of asyncio itself.
        task = asyncio.ensure_future(work())
        cancelled: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            task.exception()  # Otherwise asyncio logs it.
            try:
                raise cancelled
            finally:
                del cancelled  # The error holds this frame.
        task.result()


def running_trio() -> Any:
    """Return the module trio where it runs this task, and None elsewhere."""
    # This package does not depend on trio: an app that runs on it has imported it.
    trio = sys.modules.get("trio")
    return trio if trio is not None and trio.lowlevel.in_trio_task() else None
