"""One attempt: how it ended, and how it counts once however many backends are asked.

Throttled backends may stand one inside the other, or side by side in an `AnyOf`. They share what
an attempt holds, in the ASGI scope, without its credentials.
"""

import os
from collections.abc import Sequence

from starlette.authentication import AuthenticationError
from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection

from starlette_auth_core import AuthenticationUnavailable

from ._store import Claim, Outcome, Slot, Store

__all__ = ["Attempt", "Counted", "outcome_of"]

#: The key of the scope under which attempts stand in a list.
_ATTEMPTS = "starlette_auth_throttle.attempts"
#: Policy violation, RFC 6455 section 7.4.1: how a WebSocket is refused.
_POLICY_VIOLATION = 1008


class Attempt:
    """A login attempt in a view; `Throttled.attempt` makes it."""

    def __init__(self) -> None:
        self._succeeded = False
        self._ended = False

    def succeed(self) -> None:
        """Say that the credentials are right. Without it the attempt is a failure.

        Raises:
            RuntimeError: If the block of the attempt has ended, and so was counted.
        """
        if self._ended:
            raise RuntimeError("the attempt has ended: call succeed() inside its block")
        self._succeeded = True


class Counted:
    """What one attempt holds in a store."""

    def __init__(self, store: Store, header: int = 0) -> None:
        self._store = store
        self._header = header
        self._name = os.urandom(12)
        # By the bucket of all who claim the account.
        self._claims: dict[bytes, Claim] = {}

    @classmethod
    def of(cls, conn: HTTPConnection, store: Store, header: int) -> "Counted":
        """Return the one of this connection, store and header."""
        attempts: list[Counted] = conn.scope.setdefault(_ATTEMPTS, [])
        for each in attempts:
            if each._store is store and each._header == header:
                return each
        counted = cls(store, header)
        attempts.append(counted)
        return counted

    async def enter(self, slots: Sequence[Slot]) -> Sequence[Claim]:
        """Take the places for *slots* that this attempt does not hold yet.

        Raises:
            TooManyAttempts: If a bucket is full of failures. Nothing is taken then.
            AuthenticationUnavailable: If others are in flight for too long. Nothing is taken then.
        """
        known = [self._claims[slot.shared] for slot in slots if slot.shared in self._claims]
        new = [slot for slot in slots if slot.shared not in self._claims]
        again = [claim for claim in known if claim.failed]
        held = [claim for claim in known if not claim.failed]
        if new or again:
            for claim in await self._store._begin(self._name, new, again):
                self._claims[claim.slot.shared] = claim
                held.append(claim)
        for claim in held:
            claim.holders += 1
        return held

    async def leave(self, held: Sequence[Claim], outcome: Outcome) -> None:
        """End what *held* alone holds.

        Raises:
            AuthenticationUnavailable: If it is a failure that can't be counted within the limits,
                because the check took longer than a place is kept. It must not be answered.
        """
        counted = True
        for ended, claims in self._release(held, outcome):
            counted = await self._store._end(self._name, claims, ended) and counted
        if not counted:
            raise AuthenticationUnavailable

    def leave_soon(self, held: Sequence[Claim], outcome: Outcome) -> None:
        """Do the same for a task that is cancelled, and can't wait."""
        for ended, claims in self._release(held, outcome):
            self._store._end_soon(self._name, claims, ended)

    def _release(
        self, held: Sequence[Claim], outcome: Outcome
    ) -> Sequence[tuple[Outcome, Sequence[Claim]]]:
        # Of several backends the last one that found something out decides.
        for claim in held:
            claim.holders -= 1
            if outcome is not Outcome.GIVEN_BACK:
                claim.wrong = outcome is Outcome.FAILURE
        free = [claim for claim in held if not claim.holders]
        failed = [claim for claim in free if claim.wrong]
        if outcome is Outcome.SUCCESS:
            # And what failed before, side by side with this one.
            free += [claim for claim in self._claims.values() if claim.failed]
        for claim in free:
            is_over = not claim.wrong or outcome is Outcome.SUCCESS
            # Two that ask at the same time may take a place each.
            if is_over and self._claims.get(claim.slot.shared) is claim:
                del self._claims[claim.slot.shared]
        right = [claim for claim in free if claim not in failed]
        ended = (Outcome.SUCCESS if outcome is Outcome.SUCCESS else Outcome.GIVEN_BACK, right)
        return [each for each in (ended, (Outcome.FAILURE, failed)) if each[1]]


def outcome_of(error: BaseException) -> Outcome:
    """Return whether *error* says that credentials are wrong, or that they were not checked."""
    match error:
        case AuthenticationError():
            # Starlette's own has no status, and is answered with 401 as a wrong one is.
            status = getattr(error, "status_code", 401)
            known = isinstance(status, int) and 400 <= status <= 599
            wrong = status == 401 or not known
        case HTTPException():
            wrong = error.status_code < 500
        case WebSocketException():
            wrong = error.code == _POLICY_VIOLATION
        case _:
            wrong = False
    return Outcome.FAILURE if wrong else Outcome.GIVEN_BACK
