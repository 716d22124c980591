"""A JWK Set, RFC 7517 section 5, as an issuer publishes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._jwk import Key, is_for_signatures, read_jwk
from ._pyjwt import UnusableKey

__all__ = ["MOST_KEYS", "KeySet", "read_key_set"]

#: The most keys in a set. Issuers have two or three.
MOST_KEYS = 100


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of one answer of the issuer.

    Attributes:
        keys: Those that can be used.
        unusable: How many are broken. (Keys for something else are not counted.)
    """

    keys: tuple[Key, ...]
    unusable: int

    def find(self, algorithm: str, kid: str | None) -> Sequence[Key] | None:
        """Return the keys to try, or None where no key has that *kid*.

        A token without a `kid` has a key only where there is no choice.
        """
        if kid is None:
            fitting = [key for key in self.keys if algorithm in key.algorithms]
            return fitting if len(fitting) == 1 else ()
        named = [key for key in self.keys if key.kid == kid]
        return [key for key in named if algorithm in key.algorithms] if named else None


def read_key_set(document: Mapping[str, Any]) -> KeySet:
    """Read a JWK Set, and pass over the keys that can't be used.

    Raises:
        UnusableKey: If it does not have a list of keys, or too many.
    """
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise UnusableKey("the answer is not a JWK Set: it lacks a list of keys")
    if len(entries) > MOST_KEYS:
        raise UnusableKey(f"the answer has more than {MOST_KEYS} keys")
    keys: list[Key] = []
    unusable = 0
    for entry in entries:
        if not isinstance(entry, dict):
            unusable += 1
        elif entry.get("kty") != "oct" and is_for_signatures(entry):
            # A secret that is published is not one, so `oct` is passed over as other types are.
            try:
                keys.append(read_jwk(entry))
            except UnusableKey:
                unusable += 1
    return KeySet(tuple(keys), unusable)
