"""Checks the settings of a backend, once, when it is made."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import TypeAlias

from ._claims import media_type
from ._jwks import JWKS
from ._pyjwt import ALGORITHMS, is_symmetric
from ._static_keys import StaticKeys

__all__ = [
    "Keys",
    "check_algorithms",
    "check_issuer",
    "check_keys",
    "check_leeway",
    "read_media_types",
    "read_names",
]

Keys: TypeAlias = JWKS | StaticKeys


def check_keys(keys: object) -> Keys:
    """Return *keys* if they are that.

    Raises:
        TypeError: If not.
    """
    if isinstance(keys, (JWKS, StaticKeys)):
        return keys
    raise TypeError(
        f"keys must be set to a JWKS or StaticKeys object, such as JWKS.discover(issuer); "
        f"got {_named(keys)}"
    )


def check_issuer(issuer: object, keys: Keys) -> str:
    """Return *issuer* if it can be that of tokens which *keys* verify.

    Raises:
        TypeError: If it is not a string.
        ValueError: If it is empty, or another one than that of `JWKS.discover`.
    """
    if not isinstance(issuer, str):
        raise TypeError(
            f"issuer must be set to the iss of the tokens, a string; got {_named(issuer)}"
        )
    if not issuer:
        raise ValueError("issuer must not be empty: it is the iss of the tokens")
    discovered = keys._issuer if isinstance(keys, JWKS) else None
    if discovered is not None and discovered != issuer:
        raise ValueError(
            f"issuer is {issuer!r}, and that of JWKS.discover is {discovered!r}: they must be "
            "equal, to the character"
        )
    return issuer


def check_algorithms(algorithms: object, keys: Keys) -> frozenset[str]:
    """Return *algorithms* if tokens can be checked by them.

    Raises:
        TypeError: If they are not a collection of strings.
        ValueError: If there is none, or one that is unknown or that no key can check.
    """
    names = read_names("algorithms", algorithms)
    for name in names:
        if name not in ALGORITHMS:
            raise ValueError(f"algorithms: {name!r} is not one of {', '.join(sorted(ALGORITHMS))}")
        if isinstance(keys, StaticKeys):
            if not keys._can_check(name):
                raise ValueError(f"algorithms: none of the keys can check {name}")
        elif is_symmetric(name):
            raise ValueError(
                f"algorithms: {name} has a secret instead of a public key, and a secret that is "
                "published in a JWKS is not one: use StaticKeys"
            )
    return frozenset(names)


def read_media_types(token_types: object) -> frozenset[str] | None:
    """Return the media types that `typ` may name, or None if it is not to be looked at.

    Raises:
        TypeError: If they are not a collection of strings.
        ValueError: If there is none, or an empty one.
    """
    if token_types is None:
        return None
    media_types: set[str] = set()
    for name in read_names("token_types", token_types):
        found = media_type(name)
        if found is None or found.endswith("/"):
            raise ValueError(f"token_types: {name!r} is not a media type (RFC 7515 section 4.1.9)")
        media_types.add(found)
    return frozenset(media_types)


def check_leeway(leeway: object) -> float:
    """Return *leeway* in seconds.

    Raises:
        TypeError: If it is not a timedelta.
        ValueError: If it is negative.
    """
    if not isinstance(leeway, timedelta):
        raise TypeError(f"leeway must be a timedelta; got {_named(leeway)}")
    if leeway < timedelta(0):
        raise ValueError("leeway must not be negative")
    return leeway.total_seconds()


def read_names(setting: str, names: object) -> tuple[str, ...]:
    """Return *names* if they are one or more strings that are not empty.

    Raises:
        TypeError: If they are not a collection of strings: in a bare string each letter would be a
            name.
        ValueError: If there is none, or an empty one.
    """
    if isinstance(names, (str, bytes)):
        raise TypeError(f"{setting} must be a sequence of names: use [{names!r}]")
    if not isinstance(names, Collection) or isinstance(names, Mapping):
        raise TypeError(f"{setting} must be set to a sequence of names; got {_named(names)}")
    found = tuple(names)
    for name in found:
        if not isinstance(name, str):
            raise TypeError(f"{setting} must hold strings only; got {_named(name)}")
    if not found or "" in found:
        raise ValueError(f"{setting} must hold at least one name, and no empty one")
    return found


def _named(value: object) -> str:
    return "nothing" if value is None else f"an object of the class {type(value).__name__}"
