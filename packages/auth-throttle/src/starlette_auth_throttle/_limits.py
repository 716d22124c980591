"""Limits, and the buckets in which one attempt is counted."""

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import CellType, CodeType
from typing import Any

from starlette.requests import HTTPConnection

from ._keys import Key, by_address, has_address
from ._store import Slot, digest

__all__ = ["Limit", "Limits", "seconds"]

#: A century. No sum of times overflows then, neither in Lua nor in Redis.
_FOREVER = 100 * 365 * 86_400.0


@dataclass(frozen=True)
class Limit:
    """At most so many failures in any period of a length, for each value of a key.

    A limit is an account's if its key is None without a user name, as `by_username` is.

    Args:
        key: What attempts are counted by: `by_username`, `by_address`, or a function of your own
            that takes the connection and the claimed user name, each of which may be None, and
            returns text. Where it returns None, the attempt is not counted. It is not awaited.
        failures: How many failures are answered.
        per: The length of the period.

    Raises:
        TypeError: If *key* is not a function that returns at once, *failures* not an int, or *per*
            not a timedelta.
        ValueError: If *failures* is below 1, or *per* not positive.
    """

    key: Key
    failures: int
    per: timedelta

    def __post_init__(self) -> None:
        if not callable(self.key) or isinstance(self.key, type):
            raise TypeError(
                "key must be a function of a connection and a user name, such as by_username; "
                f"got {_shown(self.key)}"
            )
        if inspect.iscoroutinefunction(self.key):
            raise TypeError("key must be a function that is not async: it is not awaited")
        if not isinstance(self.failures, int) or isinstance(self.failures, bool):
            raise TypeError(f"failures must be an int, not {_shown(self.failures)}")
        if self.failures < 1:
            raise ValueError(f"failures must be at least 1, not {self.failures}")
        if not isinstance(self.per, timedelta):
            raise TypeError(f"per must be a timedelta, not {_shown(self.per)}")
        if self.per <= timedelta():
            raise ValueError(f"per must be positive, not {self.per}")


class Limits:
    """The limits of one `Throttled`, and how an attempt is counted by them."""

    def __init__(self, limits: Sequence[Limit], trust: timedelta | None, secret: bytes) -> None:
        self._secret = secret
        self._trust = None if trust is None else seconds(trust)
        names: dict[str, list[Key]] = {}
        self._limits: list[tuple[Limit, bytes, bytes]] = []
        for position, limit in enumerate(limits):
            if limit in limits[:position]:
                continue
            name = _name(limit.key)
            # Two keys of one name are told apart by their order, which all processes share.
            others = names.setdefault(name, [])
            if limit.key not in others:
                others.append(limit.key)
            kind = f"{name}#{others.index(limit.key)}".encode("utf-8", "surrogatepass")
            self._limits.append((limit, kind, b"%d/%r" % (limit.failures, limit.per)))

    def slots(self, conn: HTTPConnection | None, usernames: Sequence[str]) -> Sequence[Slot]:
        """Return where an attempt is counted.

        Args:
            conn: The connection, if there is one.
            usernames: The claimed user name. There are several where wrapped backends read the same
                bytes differently, and none where the credentials are malformed.
        """
        slots: dict[bytes, Slot] = {}
        # Whose success it would be is not known of several names, so it must help for none.
        known = len(usernames) == 1
        for limit, kind, size in self._limits:
            without = _value(limit.key, conn, None)
            named = (_value(limit.key, conn, username) for username in usernames)
            values = {without} if not usernames else set(named)
            for value in values - {None}:
                assert value is not None  # noqa: S101 - it was taken out
                slot = self._slot(limit, (kind, size, value), conn, account=without is None)
                if not known:
                    slot = Slot(slot.failures, slot.per, slot.shared)
                slots[slot.shared] = slot
        return list(slots.values())

    def _slot(
        self,
        limit: Limit,
        parts: tuple[bytes, bytes, bytes],
        conn: HTTPConnection | None,
        *,
        account: bool,
    ) -> Slot:
        kind, size, value = parts
        shared = digest(self._secret, b"bucket", kind, size, value)
        per = seconds(limit.per)
        if not account or self._trust is None or not has_address(conn):
            return Slot(limit.failures, per, shared, cleared=account)
        address = _encode(by_address(conn, None) or "")
        return Slot(
            limit.failures,
            per,
            shared,
            digest(self._secret, b"pair", kind, size, value, address),
            digest(self._secret, b"account", kind, value),
            digest(self._secret, b"place", kind, value, address),
            self._trust,
            cleared=True,
        )


def seconds(length: timedelta) -> float:
    """Return a length of time that is used in calculations."""
    return min(length.total_seconds(), _FOREVER)


def _value(key: Key, conn: HTTPConnection | None, username: str | None) -> bytes | None:
    value: Any = key(conn, username)
    if value is None:
        return None
    if not isinstance(value, str):
        if inspect.iscoroutine(value):
            value.close()  # Otherwise Python warns that it was never awaited.
        raise TypeError(f"The key of a limit must return a str or None, not {_shown(value)}")
    return _encode(value)


def _encode(text: str) -> bytes:
    # Anybody may send a lone surrogate.
    return text.encode("utf-8", "surrogatepass")


def _shown(value: object) -> str:
    # Its `repr` may show anything.
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def _name(key: Any) -> str:
    """Return a name of a key function that is the same in all processes that run one app."""
    if isinstance(key, partial):
        given = (*key.args, *(item for pair in sorted(key.keywords.items()) for item in pair))
        return f"{_name(key.func)}({_plain(given)})"
    function = getattr(key, "__func__", key)
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        name = f"{type(key).__module__}.{type(key).__qualname__}"
        # Of a function in a cache.
        return f"{name}({_name(key.__wrapped__)})" if hasattr(key, "__wrapped__") else name
    name = f"{function.__module__}.{function.__qualname__}"
    if code.co_qualname != function.__qualname__:
        # A decorator has given it the name of the function that it calls.
        name += f"={code.co_qualname}"
    if "<" in name:
        # Lambdas and local functions share names, but not where they stand or what they close over.
        cells = (_contents(cell) for cell in function.__closure__ or ())
        name += f"{list(code.co_positions())}({_plain(cells)})"
    return name


def _contents(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # it has none yet
        return None


def _plain(values: Iterable[object]) -> str:
    # The `repr` of other objects may hold their address in memory.
    plain = (str, bytes, int, float, type(None))
    return ",".join(repr(value) if isinstance(value, plain) else "?" for value in values)
