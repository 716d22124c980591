"""Whether a result is a success of the credentials that were counted, or of others beside them."""

import sys
from typing import Any

from starlette.authentication import AuthCredentials

from starlette_auth_core import AuthBackend, BaseBasicAuth

from ._keys import by_username
from ._reading import BasicHeader, inner_of, walk
from ._store import Outcome

__all__ = ["Results"]

_BASIC = "basic"
#: A backend that does not say with which scheme it authenticates, as Starlette's own.
_SILENT = ""


class Results:
    """The results of a backend.

    A request may hold other credentials beside `Authorization: Basic`: a session's cookie, or an
    API key in a header of its own. Somebody who guesses may well have some.

    Args:
        backend: The backend. Those that it wraps are found in `backend` and `backends`.
    """

    def __init__(self, backend: object) -> None:
        # The schemes of those that ask somebody, in the order in which they are asked.
        leaves = [each for each in walk(backend) if not inner_of(each)]
        self._schemes = [_scheme_of(each) for each in leaves]
        #: Whether one may read more of a header than was counted. Whatever it answers to malformed
        #: credentials would say whether the password in them is right.
        self.may_read_more = _SILENT in self._schemes
        # Where one alone may say nothing, what says nothing is its.
        self._is_plain = self._schemes.count(_SILENT) <= 1 and _BASIC not in self._schemes

    def outcome(self, result: Any, header: BasicHeader) -> Outcome:
        """Return how an attempt ended for which the backend returned *result*."""
        if result is None:
            return Outcome.GIVEN_BACK
        try:
            credentials, user = result
        except (TypeError, ValueError):
            # Core says what is wrong with it.
            return Outcome.GIVEN_BACK
        if _is_nobody(credentials, user):
            return Outcome.FAILURE
        said = getattr(credentials, "scheme", _SILENT)
        scheme = said.lower() if isinstance(said, str) else _SILENT
        if header.malformed:
            return Outcome.FAILURE if scheme in (_BASIC, _SILENT) else Outcome.GIVEN_BACK
        if scheme == _BASIC or (scheme == _SILENT and self._is_basic(user, header)):
            return Outcome.SUCCESS
        # Others were right. The password was wrong if it was asked for before.
        return Outcome.FAILURE if self._was_basic_asked(scheme) else Outcome.GIVEN_BACK

    def _is_basic(self, user: Any, header: BasicHeader) -> bool:
        name = getattr(user, "username", None)
        return self._is_plain or (
            isinstance(name, str)
            and by_username(None, name) in [by_username(None, each) for each in header.usernames]
        )

    def _was_basic_asked(self, scheme: str) -> bool:
        others = [place for place, each in enumerate(self._schemes) if each != _BASIC]
        places = [place for place in others if self._schemes[place] == scheme] or others
        return bool(places) and _BASIC in self._schemes[: places[-1]]


def _scheme_of(backend: object) -> str:
    if isinstance(backend, BaseBasicAuth):
        return _BASIC
    scheme = backend.scheme.lower() if isinstance(backend, AuthBackend) else _SILENT
    return _SILENT if scheme == _BASIC else scheme


def _is_nobody(credentials: AuthCredentials, user: Any) -> bool:
    # Somebody anonymous has not logged in; nor has a false object of Python's own, which a database
    # returns for nobody.
    module = type(user).__module__.partition(".")[0]
    if user is None or (module in sys.stdlib_module_names and not user):
        return True
    return not (credentials.scopes or _is_authenticated(user))


def _is_authenticated(user: Any) -> bool:
    try:
        return bool(getattr(user, "is_authenticated", True))
    except NotImplementedError:
        return True  # Starlette's `BaseUser` does not say.
