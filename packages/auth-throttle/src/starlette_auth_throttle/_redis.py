"""A store that several processes and servers share, over Redis."""

import asyncio
import inspect
import time
from collections import deque
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import anyio

from starlette_auth_core import AuthenticationUnavailable, TooManyAttempts

from ._line import Line, Script, Unreachable
from ._memory import MemoryStore, retry_after
from ._scripts import ADMITTED, BEGIN, BLOCKED, END, LATE, REFUSED
from ._store import MAX_TRUSTED, PATIENCE, Claim, Outcome, Slot

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["RedisStore"]

#: How long a place is kept for an attempt whose process may have died, in seconds: longer than
#: others wait for it.
_LEASE = 20.0
#: How often Redis is asked whether attempts of other processes are known, in seconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.05
#: How many attempts are ended later that Redis could not be asked to end, and how soon: in seconds.
_MOST_DEBTS = 1_000
_SOON = 0.01
_MILLION = 1_000_000
_SHORTEST_SECRET = 16


class RedisStore:
    """Keeps failures in Redis or Valkey, for all processes and servers that share it.

    An attempt is two round trips. Its place is kept for 20 seconds: others wait for a process that
    dies no longer than that, and a wrong answer that is found later is given only if the limits
    still have room for it. All keys are in one hash slot, expire by themselves, and hold
    nothing but digests under the secret. Times are those of the server's clock.

    While Redis can't be asked (it is down, hangs or answers with an error, or the app runs on trio)
    the same limits hold in each process, counted in its memory. One warning a minute says so, and
    Redis is asked again every second.

    Args:
        client: The client, which the app makes and closes.
        secret: The key of the digests, at least 16 random bytes, the same on all servers. With
            another one all counts begin anew.
        prefix: What the keys begin with, in braces: a hash tag.
        timeout: How long Redis may take to answer, in seconds. Time in which the app's own event
            loop is blocked does not count.

    Raises:
        TypeError: If *client* is not a client of `redis.asyncio`, *secret* not bytes, or *prefix*
            not a string.
        ValueError: If *secret* is shorter than 16 bytes, *prefix* is empty or holds a brace, or
            *timeout* is not positive.
    """

    def __init__(
        self,
        client: "Redis",
        *,
        secret: bytes,
        prefix: str = "auth:",
        timeout: float = 0.25,
    ) -> None:
        if not isinstance(secret, bytes):
            raise TypeError(f"secret must be bytes, not a {type(secret).__name__}")
        if len(secret) < _SHORTEST_SECRET:
            raise ValueError(
                f"secret must have at least {_SHORTEST_SECRET} bytes, such as those of "
                "secrets.token_bytes(32), kept where all servers can read them"
            )
        if not isinstance(prefix, str):
            raise TypeError(f"prefix must be a str, not a {type(prefix).__name__}")
        if not prefix or "{" in prefix or "}" in prefix:
            raise ValueError("prefix must not be empty, and must not hold a brace")
        if not isinstance(timeout, (int, float)) or isinstance(timeout, bool):
            raise TypeError(f"timeout must be seconds, not a {type(timeout).__name__}")
        if not 0 < timeout < float("inf"):
            raise ValueError(f"timeout must be a positive number of seconds, not {timeout}")
        self._begin_script, self._end_script = _scripts(client)
        self._secret = secret
        self._prefix = f"{{{prefix}}}".encode("utf-8", "surrogatepass")
        self._timeout = timeout
        pool = getattr(client, "connection_pool", None)
        self._line = Line(getattr(pool, "max_connections", None), timeout)
        self._local = MemoryStore()
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[bytes, _Queue]] = (
            WeakKeyDictionary()
        )
        self._tasks: set[asyncio.Task[Any]] = set()
        self._debts: deque[_Debt] = deque(maxlen=_MOST_DEBTS)
        self._paying = False
        # How far the server's clock is ahead of ours, in seconds: a reply comes later than it was
        # made, so this is the largest that was seen.
        self._ahead: float | None = None

    async def _begin(
        self, attempt: bytes, slots: Sequence[Slot], again: Sequence[Claim]
    ) -> Sequence[Claim]:
        # A failure that was counted elsewhere stays there, and need not be counted again.
        try:
            shared = [claim for claim in again if not claim.local]
            return await self._begin_shared(attempt, slots, shared)
        except Unreachable:
            pass
        local = [claim for claim in again if claim.local]
        return await self._local._begin(attempt, slots, local)

    async def _end(self, attempt: bytes, claims: Sequence[Claim], outcome: Outcome) -> bool:
        shared = self._end_local(attempt, claims, outcome)
        if not shared:
            return True
        # Cancelled now, it is ended all the same.
        return bool(await asyncio.shield(self._spawn(self._end_shared(attempt, shared, outcome))))

    def _end_soon(self, attempt: bytes, claims: Sequence[Claim], outcome: Outcome) -> None:
        shared = self._end_local(attempt, claims, outcome)
        if shared:
            self._owe(attempt, shared, outcome)

    def _end_local(
        self, attempt: bytes, claims: Sequence[Claim], outcome: Outcome
    ) -> Sequence[Claim]:
        local = [claim for claim in claims if claim.local]
        if local:
            self._local._end_soon(attempt, local, outcome)
        return [claim for claim in claims if not claim.local]

    async def _begin_shared(
        self, attempt: bytes, slots: Sequence[Slot], again: Sequence[Claim]
    ) -> Sequence[Claim]:
        # Where something failed once, it is counted again, whoever is trusted by now.
        wanted = [*slots, *(Slot(c.slot.failures, c.slot.per, c.bucket) for c in again)]
        answer = await self._ask(attempt, wanted)
        if isinstance(answer, bytes):
            try:
                with anyio.fail_after(PATIENCE):
                    while isinstance(answer, bytes):
                        answer = await self._wait(attempt, wanted, answer)
            except TimeoutError:
                raise AuthenticationUnavailable from None
        for claim in again:
            claim.failed = False
        chosen = zip(slots, answer, strict=False)
        return [
            *(
                Claim(slot, slot.pair if pair else slot.shared, local=False)
                for slot, pair in chosen
            ),
            *again,
        ]

    async def _wait(
        self, attempt: bytes, slots: Sequence[Slot], bucket: bytes
    ) -> Sequence[int] | bytes:
        """Ask again until something else than *bucket* decides.

        One attempt of this process asks for all that wait for the bucket.
        """
        with self._queue(bucket) as queue:
            async with queue.turn:
                pause = _FIRST_PAUSE
                while True:
                    queue.changed.clear()
                    answer = await self._ask(attempt, slots)
                    if answer != bucket:
                        return answer
                    with anyio.move_on_after(pause):
                        await queue.changed.wait()
                    pause = min(pause * 1.5, _LONGEST_PAUSE)

    async def _ask(self, attempt: bytes, slots: Sequence[Slot]) -> Sequence[int] | bytes:
        """Return the bucket of each slot, 1 for that of the pair; or the one that is in the way."""
        keys = [key for slot in slots for key in self._keys_of(slot)]
        sizes = [
            value
            for slot in slots
            for value in (slot.failures, _microseconds(slot.per), slot.place)
        ]

        def make_args() -> Sequence[Any]:
            # What hangs and goes on later takes no place for an attempt that was given up.
            ahead = self._ahead
            latest = 0 if ahead is None else time.monotonic() + ahead + self._timeout
            return attempt, _microseconds(_LEASE), int(latest * _MILLION), *sizes

        def give_back() -> None:
            self._owe(attempt, _claims(slots), Outcome.GIVEN_BACK)

        for _ in range(3):
            reply = await self._line.ask(self._begin_script, keys, make_args)
            try:
                kind, now, *more = await asyncio.shield(reply)
            except asyncio.CancelledError:
                # Whatever its answer will be, what it has taken is given back.
                reply.add_done_callback(lambda _: give_back())
                raise
            except Unreachable:
                # It may have taken the places, and only its answer was lost.
                give_back()
                raise
            self._see(now)
            if kind == ADMITTED and len(more) == len(slots):
                return more
            if kind == REFUSED and more:
                raise TooManyAttempts(retry_after=retry_after(more[0] / _MILLION, slots))
            if kind == BLOCKED and len(more) == 2 and 0 <= more[0] < len(slots):
                slot = slots[more[0]]
                return slot.pair if more[1] else slot.shared
            if kind != LATE:
                break
        raise Unreachable

    async def _end_shared(self, attempt: bytes, claims: Sequence[Claim], outcome: Outcome) -> bool:
        flying = [claim for claim in claims if not claim.failed]
        for claim in claims:
            claim.failed = outcome is Outcome.FAILURE
        debt = self._debt(attempt, claims, outcome)
        try:
            reply = await self._line.ask(self._end_script, debt.keys, debt.make_args)
            counted, now, *_ = await asyncio.shield(reply)
        except Unreachable:
            self._debts.append(debt)
            self._local._count(flying, outcome)
            return True
        self._see(now)
        for claim in claims:
            self._change(claim.bucket)
        return bool(counted)

    def _debt(self, attempt: bytes, claims: Sequence[Claim], outcome: Outcome) -> "_Debt":
        keys = [key for claim in claims for key in self._bucket_keys(claim.bucket)]
        args: list[Any] = [attempt, int(outcome), len(claims), MAX_TRUSTED]
        for claim in claims:
            slot = claim.slot
            args += [slot.failures, _microseconds(slot.per), int(slot.cleared)]
        for slot in {claim.slot.place: claim.slot for claim in claims}.values():
            if outcome is Outcome.SUCCESS and slot.account is not None:
                keys.append(self._trusted_key(slot))
                args += [slot.place, _microseconds(slot.trust)]
        return _Debt(keys, args, [claim.bucket for claim in claims])

    def _owe(self, attempt: bytes, claims: Sequence[Claim], outcome: Outcome) -> None:
        self._debts.append(self._debt(attempt, claims, outcome))
        with suppress(RuntimeError):  # without an event loop, the next answer will do
            # Not at once: a loop that ends cancels its tasks, and runs no new ones to their end.
            asyncio.get_running_loop().call_later(_SOON, self._pay_soon)

    def _pay_soon(self) -> None:
        if self._debts and not self._paying:
            self._paying = True
            self._spawn(self._pay())

    async def _pay(self) -> None:
        try:
            while self._debts:
                debt = self._debts.popleft()
                # Later than a place is kept, it has ended by itself.
                if time.monotonic() < debt.until:
                    await self._pay_one(debt)
        except Unreachable:
            pass  # The next answer is the occasion.
        finally:
            self._paying = False

    async def _pay_one(self, debt: "_Debt") -> None:
        try:
            await asyncio.shield(await self._line.ask(self._end_script, debt.keys, debt.make_args))
        except Unreachable:
            self._debts.appendleft(debt)
            raise
        for bucket in debt.buckets:
            self._change(bucket)

    def _keys_of(self, slot: Slot) -> Sequence[bytes]:
        return (
            *self._bucket_keys(slot.shared),
            *self._bucket_keys(slot.pair),
            self._trusted_key(slot),
        )

    def _bucket_keys(self, bucket: bytes) -> Sequence[bytes]:
        name = bucket.hex().encode()
        return self._prefix + b"failed:" + name, self._prefix + b"flying:" + name

    def _trusted_key(self, slot: Slot) -> bytes:
        return self._prefix + b"trusted:" + (slot.account or b"").hex().encode()

    def _see(self, now: int) -> None:
        ahead = now / _MILLION - time.monotonic()
        self._ahead = ahead if self._ahead is None else max(ahead, self._ahead)
        self._pay_soon()

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @contextmanager
    def _queue(self, bucket: bytes) -> "Iterator[_Queue]":
        queues = self._queues.setdefault(asyncio.get_running_loop(), {})
        queue = queues.setdefault(bucket, _Queue())
        queue.waiting += 1
        try:
            yield queue
        finally:
            queue.waiting -= 1
            if not queue.waiting:
                del queues[bucket]

    def _change(self, bucket: bytes) -> None:
        queue = self._queues.get(asyncio.get_running_loop(), {}).get(bucket)
        if queue is not None:
            queue.changed.set()


@dataclass(slots=True, eq=False)
class _Debt:
    # The keys and arguments by which Redis ends an attempt.

    keys: Sequence[bytes]
    args: Sequence[Any]
    buckets: Sequence[bytes]
    until: float = field(default_factory=lambda: time.monotonic() + _LEASE)

    def make_args(self) -> Sequence[Any]:
        return self.args


class _Queue:
    # The attempts of one event loop that wait for one bucket.

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.changed = asyncio.Event()
        self.waiting = 0


def _claims(slots: Sequence[Slot]) -> Sequence[Claim]:
    # In both buckets of each, since it is not known which one Redis took.
    buckets = [(slot, bucket) for slot in slots for bucket in (slot.shared, slot.pair) if bucket]
    return [Claim(slot, bucket, local=False) for slot, bucket in buckets]


def _microseconds(length: float) -> int:
    return max(1, round(length * _MILLION))


class _Script:
    def __init__(self, client: Any, text: str) -> None:
        # Registered, it is sent by its digest, and stored where the server has forgotten it.
        self._registered = client.register_script(text)
        self._client = client
        self._text = text
        if not inspect.iscoroutinefunction(type(self._registered).__call__):
            raise TypeError

    async def __call__(
        self, keys: Sequence[bytes], args: Sequence[Any], *, in_full: bool = False
    ) -> Any:
        if in_full:
            return await self._client.eval(self._text, len(keys), *keys, *args)
        return await self._registered(keys, args)


def _scripts(client: Any) -> Sequence[Script]:
    with suppress(AttributeError, TypeError):
        return _Script(client, BEGIN), _Script(client, END)
    kind = client if isinstance(client, type) else type(client)
    raise TypeError(
        "client must be a client of redis.asyncio, such as redis.asyncio.Redis(…); "
        f"got {'the class' if isinstance(client, type) else 'a'} {kind.__module__}.{kind.__name__}"
    )
