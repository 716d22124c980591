"""Locks that a forked child finds free."""

import os
from typing import Protocol

__all__ = ["hold_while_forking"]


class _Lock(Protocol):
    def acquire(self) -> object: ...

    def release(self) -> object: ...


def hold_while_forking(lock: _Lock) -> None:
    """Let no fork happen while another thread holds *lock*.

    The child has the thread that forked, and no other: a lock of another thread, such as the one of
    a module that is being imported, would never be released there.
    """
    if hasattr(os, "register_at_fork"):  # pragma: no branch - not on Windows
        os.register_at_fork(
            before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
        )
