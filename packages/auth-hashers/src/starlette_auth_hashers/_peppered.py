"""Passwords that are hashed under a key as well, which is not in the database."""

import base64
import hmac
import logging
import re
from collections.abc import Mapping
from typing import ClassVar

from ._base import BaseHasher, require_hash, require_text
from ._pacing import settle
from ._verifier import why_never

__all__ = ["PepperedHasher"]

logger = logging.getLogger("starlette_auth_hashers")

_LEAST_KEY_SIZE = 32
_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")
_STORED = re.compile(r"\$pepper\$(?P<id>[A-Za-z0-9._-]{1,32})\$(?P<hash>.+)", re.DOTALL)


class PepperedHasher(BaseHasher):
    """Hashes passwords under a secret key (a "pepper"), so that a stolen database can't be guessed.

    The password is replaced by its HMAC-SHA-256 under the key, and that is hashed. The stored
    string names the key by its id. See NIST SP 800-63B section 3.1.1.2, and OWASP Password Storage
    Cheat Sheet, "Peppering".

    To introduce it, put the hasher without a pepper behind it: `MultiHasher([PepperedHasher(…),
    Argon2Hasher()])`. To change the key, add one and make it the current one: hashes under the
    others verify, and are outdated. Remove a key once no stored hash names its id.

    Args:
        hasher: The hasher of what HMAC makes, such as `Argon2Hasher()`. bcrypt takes passwords of
            more than 72 bytes here.
        peppers: The keys by their ids. An id has 1 to 32 letters, digits, `.`, `_` and `-`. A key
            has 32 bytes or more, such as `secrets.token_bytes(32)`, from a vault or the
            environment.
        current: The id of the key that new hashes are made under.

    Raises:
        TypeError: If *hasher* is not a hasher, *peppers* is not a mapping, or a key is not bytes.
        ValueError: If *hasher* can't make hashes, an id or a key is not as described, or *current*
            is not among the ids.
    """

    _measured_within: ClassVar[bool] = True

    def __init__(self, hasher: BaseHasher, peppers: Mapping[str, bytes], *, current: str) -> None:
        self._hasher = hasher
        self._keys = _Keys(peppers)
        self._current = current if isinstance(current, str) and current in self._keys else ""
        # An error reporter shows the variables of a constructor that raises: keys, or one in the
        # place of an id.
        del peppers, current
        if not isinstance(hasher, BaseHasher):
            raise TypeError(f"hasher must be a hasher, not {type(hasher).__name__}")
        if not hasher._can_make():
            raise ValueError(f"PepperedHasher needs a hasher that makes hashes, not {hasher!r}")
        self._keys.check(self._current)

    def __repr__(self) -> str:
        """Show the hasher and the ids."""
        return f"PepperedHasher({self._hasher!r}, {self._keys!r}, current={self._current!r})"

    def make_sync(self, secret: str) -> str:
        """Hash a password under the current key; see `BaseHasher.make_sync`."""
        require_text(secret)
        reason = why_never(secret)
        if reason is not None:
            raise ValueError(f"PepperedHasher can't hash this password: {reason}")
        hashed = self._hasher.make_sync(self._keys.apply(self._current, secret))
        return f"$pepper${self._current}${hashed}"

    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        """Verify a password; see `BaseHasher.verify_sync`."""
        require_text(secret, hashed)
        return settle(self, secret, lambda: self._verify(secret, hashed))

    def dummy_verify_sync(self, secret: str, username: str = "") -> None:
        """Do the work of a failing `verify`; see `BaseHasher.dummy_verify_sync`."""
        require_text(secret)
        settle(self, secret, lambda: self._hasher._measured_dummy(self._apply(secret), username))

    def identify(self, hashed: str) -> bool:
        """Return whether *hashed* is one with a pepper, of whichever id."""
        require_hash(hashed)
        return _STORED.fullmatch(hashed) is not None

    def needs_update(self, hashed: str) -> bool:
        """Return whether *hashed* is under another key than the current one, or outdated itself."""
        require_hash(hashed)
        stored = _STORED.fullmatch(hashed)
        if stored is None:
            return False
        return stored["id"] != self._current or self._hasher._is_outdated(stored["hash"])

    def _verify(self, secret: str, hashed: str | None) -> bool:
        stored = None if hashed is None else _STORED.fullmatch(hashed)
        if stored is None or why_never(secret) is not None:
            return False
        if stored["id"] not in self._keys:
            logger.warning("A stored hash names a pepper that is not configured")
            return False
        return self._hasher._measured_verify(self._apply(secret, stored["id"]), stored["hash"])

    def _apply(self, secret: str, id_: str | None = None) -> str:
        password = "" if why_never(secret) else secret
        return self._keys.apply(self._current if id_ is None else id_, password)

    def _highest_cost(self, secret: str, *, makes: bool) -> float:
        return self._hasher._highest_cost(self._apply(secret), makes=makes)


class _Keys:
    """The keys by their ids, which neither `repr` nor an error reporter shows."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys) if isinstance(keys, Mapping) else None

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{id_!r}: ..." for id_ in self._keys or () if _is_id(id_)) + "}"

    def __contains__(self, id_: str) -> bool:
        return id_ in (self._keys or ())

    def check(self, current: str) -> None:
        """Raise an error for keys that can't be."""
        if self._keys is None:
            raise TypeError("peppers must be a mapping of ids to keys")
        wrong = [number for number, id_ in enumerate(self._keys, 1) if not _is_id(id_)]
        if wrong:
            # It is not repeated: it is a key where the two were swapped.
            raise ValueError(
                f"the id of pepper number {wrong[0]} must be a str of 1 to 32 letters, digits, "
                "'.', '_' and '-'"
            )
        for id_ in self._keys:
            if not isinstance(self._keys[id_], bytes):
                raise TypeError(f"the pepper {id_!r} must be bytes")
            if len(self._keys[id_]) < _LEAST_KEY_SIZE:
                raise ValueError(f"the pepper {id_!r} must have {_LEAST_KEY_SIZE} bytes or more")
        if current not in self:
            raise ValueError(
                f"current must be the id of one of the peppers: {', '.join(self._keys) or 'none'}"
            )

    def apply(self, id_: str, secret: str) -> str:
        """Return the HMAC of a password, as text of 44 characters."""
        password = hmac.digest((self._keys or {})[id_], secret.encode(), "sha256")
        return base64.b64encode(password).decode()


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None
