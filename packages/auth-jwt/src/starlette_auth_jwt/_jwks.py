"""An issuer's keys, fetched when a request needs them, and kept while the issuer is away.

No task of its own fetches them: a request does, and where it is cancelled, another one.
"""

import logging
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import httpx2
from anyio import CancelScope, current_time

from starlette_auth_core import AuthenticationUnavailable

from ._discovery import find_jwks_uri
from ._documents import Documents, DocumentUnavailable
from ._jwk import Key
from ._key_set import KeySet, read_key_set
from ._single_flight import SingleFlight
from ._urls import check_url, without_query

__all__ = ["JWKS"]

logger = logging.getLogger("starlette_auth_jwt")

_MAX_AGE = timedelta(minutes=10)
_MAX_STALE = timedelta(hours=24)
_COOLDOWN = timedelta(seconds=30)
_TIMEOUT = 5.0


class JWKS:
    """The keys that an issuer publishes, as a JWK Set (RFC 7517 section 5).

    Nothing is fetched until a request or `refresh` needs it. Requests at the same time share one
    fetch. Keys that are older than *max_age* are fetched anew by one request, and the others are
    answered by the old ones meanwhile; so is everybody while the issuer does not answer, up to
    *max_stale*. A token with a `kid` that is not known has the keys fetched, unless that was tried
    within the last *cooldown*.

    Args:
        url: Where the keys are: an `https` URL, or `http` to this machine.
        client: The client to fetch with, such as one with a proxy or certificates of its own. It is
            not closed, and belongs to one event loop. None: a new one for each fetch.
        max_age: How long keys are used before they are fetched again.
        max_stale: How long they are used while they can't be fetched.
        cooldown: How long after one attempt to fetch the next one is made, `refresh` aside.
        timeout: How long one attempt may take, in seconds, from the first connection to the last
            byte of the last document.

    Raises:
        TypeError: If a setting is of the wrong type.
        ValueError: If *url* is not such a URL, or has user information or a fragment; unless
            0 < *max_age* <= *max_stale*, 0 <= *cooldown* and 0 < *timeout* < infinity.
    """

    def __init__(
        self,
        url: str,
        *,
        client: httpx2.AsyncClient | None = None,
        max_age: timedelta = _MAX_AGE,
        max_stale: timedelta = _MAX_STALE,
        cooldown: timedelta = _COOLDOWN,
        timeout: float = _TIMEOUT,
    ) -> None:
        is_https = check_url("url", url).scheme == "https"
        for name, span in (("max_age", max_age), ("max_stale", max_stale), ("cooldown", cooldown)):
            if not isinstance(span, timedelta):
                raise TypeError(f"{name} must be a timedelta; got {type(span).__name__}")
        if not timedelta(0) < max_age <= max_stale:
            raise ValueError("max_age must be more than zero, and max_stale not less than max_age")
        if cooldown < timedelta(0):
            raise ValueError("cooldown must not be negative")
        if not isinstance(timeout, (int, float)) or isinstance(timeout, bool):
            raise TypeError(f"timeout must be a number of seconds; got {type(timeout).__name__}")
        if not 0 < timeout <= sys.float_info.max:
            raise ValueError("timeout must be more than zero seconds, and finite")
        self._url: str | None = url
        self._issuer: str | None = None
        self._max_age = max_age.total_seconds()
        self._max_stale = max_stale.total_seconds()
        self._cooldown = cooldown.total_seconds()
        self._timeout = float(timeout)
        self._documents = Documents(client, needs_tls=is_https)
        self._flight = SingleFlight(self._fetch, self._timeout)
        self._held: _Held | None = None
        self._tried: _Moment | None = None
        self._has_warned = False

    @classmethod
    def discover(
        cls,
        issuer: str,
        *,
        client: httpx2.AsyncClient | None = None,
        max_age: timedelta = _MAX_AGE,
        max_stale: timedelta = _MAX_STALE,
        cooldown: timedelta = _COOLDOWN,
        timeout: float = _TIMEOUT,
    ) -> "JWKS":
        """Have the issuer's own metadata say where its keys are.

        The metadata is that of OpenID Connect Discovery 1.0 section 4, and where that is not there,
        of RFC 8414 section 3. It has to name exactly this *issuer* (section 3.3), and is fetched
        once, and again after the keys could not be had: they may have moved.

        Args:
            issuer: The issuer, as it stands in `iss` of its tokens: a URL without a query. It has
                to equal the `issuer` of the backend.
            client: See `JWKS`.
            max_age: See `JWKS`.
            max_stale: See `JWKS`.
            cooldown: See `JWKS`.
            timeout: See `JWKS`. Fetching the metadata is part of it.

        Returns:
            The keys. Nothing has been fetched yet.

        Raises:
            TypeError: As for `JWKS`.
            ValueError: As for `JWKS`, and if *issuer* has a query.
        """
        check_url("issuer", issuer, query=False)
        keys = cls(
            issuer,
            client=client,
            max_age=max_age,
            max_stale=max_stale,
            cooldown=cooldown,
            timeout=timeout,
        )
        keys._issuer, keys._url = issuer, None
        return keys

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._name()}>"

    async def refresh(self) -> None:
        """Fetch the keys now, for the lifespan of an app; where a fetch is under way, wait for it.

        Raises:
            AuthenticationUnavailable: If they can't be had. The old keys stay.
        """
        if not await self._flight.run():
            raise self._unavailable()

    async def _find(self, algorithm: str, kid: str | None) -> Sequence[Key]:
        # The keys to try for a token; none means that it is not valid.
        age = math.inf if self._held is None else self._held.age()
        has_waited = False
        if age > self._max_stale or (age > self._max_age and not self._flight.is_under_way()):
            has_waited = await self._flight.run(self._may_try) is not None
        keys = self._current().find(algorithm, kid)
        if keys is None and not has_waited:
            await self._flight.run(self._may_try)
            keys = self._current().find(algorithm, kid)
        if keys is not None:
            return keys
        if self._is_young():
            return ()
        # The issuer may have made the key since.
        raise self._unavailable()

    def _current(self) -> KeySet:
        if self._held is None or self._held.age() > self._max_stale:
            raise self._unavailable()
        return self._held.keys

    def _is_young(self) -> bool:
        return self._held is not None and self._held.age() < self._max_age

    def _may_try(self) -> bool:
        return self._tried is None or self._tried.age() >= self._cooldown

    def _unavailable(self) -> AuthenticationUnavailable:
        left = self._cooldown - (self._tried.age() if self._tried else 0)
        return AuthenticationUnavailable(retry_after=max(1, math.ceil(left)))

    async def _fetch(self) -> bool:
        keys: KeySet | None = None
        problem = "no answer in time"
        # Its deadline is that of the loop's own clock.
        with CancelScope(deadline=current_time() + self._timeout):
            try:
                keys = read_key_set(await self._documents.fetch(await self._locate()))
            except (DocumentUnavailable, ValueError) as error:
                problem = str(error)
        self._tried = _Moment()
        if keys is None:
            if self._issuer is not None:
                self._url = None
            logger.warning("The keys of %s could not be fetched: %s", self._name(), problem)
            return False
        self._held = _Held(keys, self._tried)
        if keys.unusable and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "Of the keys of %s, %d can't be used, and are skipped", self._name(), keys.unusable
            )
        return True

    async def _locate(self) -> str:
        if self._issuer is not None and self._url is None:
            self._url = await find_jwks_uri(self._issuer, self._documents)
        assert self._url is not None  # noqa: S101 - without an issuer it is there
        return self._url

    def _name(self) -> str:
        # For logs.
        return without_query(self._issuer or self._url or "")


class _Moment:
    # The clock that is never set stands still while the machine sleeps, so both are asked.

    def __init__(self) -> None:
        self._monotonic = time.monotonic()
        self._wall = time.time()

    def age(self) -> float:
        return max(0.0, time.monotonic() - self._monotonic, time.time() - self._wall)


@dataclass(frozen=True, slots=True)
class _Held:
    keys: KeySet
    since: _Moment

    def age(self) -> float:
        return self.since.age()
