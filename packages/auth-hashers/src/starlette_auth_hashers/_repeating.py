"""Computes the stored string of a password again, of all that passlib has but its digest."""

from collections.abc import Iterator, Mapping
from typing import Any

from ._passlib import Algorithm, _call, _costs, _unwrapped, is_unsalted, is_wrapper

__all__ = ["costs_of_config", "repeat", "separate"]


def separate(algorithm: Algorithm, hashed: str) -> tuple[str, str]:
    """Take a stored string apart.

    Args:
        algorithm: The algorithm, of which *hashed* must be a hash.
        hashed: The stored string.

    Returns:
        What `repeat` needs (the salt and the costs, without the digest), and the string as passlib
        writes it.
    """
    source = _unwrapped(algorithm.handler)
    if is_wrapper(algorithm.handler):
        hashed = algorithm.handler._unwrap_hash(hashed)
    parsed = source.from_string(hashed)
    whole = str(parsed.to_string())
    if is_unsalted(algorithm.name):
        return "", whole
    configs = _configs(parsed)
    return next(each for each in configs if _restores(source, each, parsed.checksum, whole)), whole


def costs_of_config(algorithm: Algorithm, config: str) -> Mapping[str, int]:
    """Return what `repeat` of *config* costs, by the names of the settings.

    Raises:
        ValueError: If *config* is malformed.
    """
    handler = _unwrapped(algorithm.handler)
    if not config and is_unsalted(algorithm.name):
        return {}
    try:
        return _costs(handler.from_string(config), handler.setting_kwds)
    except Exception:  # noqa: BLE001 - passlib's parsers raise about anything
        raise ValueError("a wrapped hash is malformed") from None


def repeat(algorithm: Algorithm, secret: str, config: str) -> str:
    """Return the string that passlib would store for *secret*, with the salt of *config*.

    *config* is that of `separate`, or a whole stored string.
    """
    handler = algorithm.handler
    if is_wrapper(handler) and handler.identify(config):
        config = handler._unwrap_hash(config)
    return str(_call(_compute, secret, _unwrapped(handler), config))


def _configs(parsed: Any) -> Iterator[str]:
    """Yield strings like *parsed* without its digest, the shortest first."""
    checksum = parsed.checksum
    for blank in (  # pragma: no branch - one of them always does
        None,
        _blank(checksum, "."),
        _blank(checksum, "0"),
    ):
        parsed.checksum = blank
        try:
            config = str(parsed.to_string())
        except Exception:  # noqa: BLE001, S112 - many of passlib's need a digest
            continue
        finally:
            parsed.checksum = checksum
        yield config


def _blank(checksum: Any, character: str) -> Any:
    if isinstance(checksum, dict):  # scram has several digests
        return {name: bytes(len(digest)) for name, digest in checksum.items()}
    return bytes(len(checksum)) if isinstance(checksum, bytes) else len(checksum) * character


def _restores(source: Any, config: str, checksum: Any, whole: str) -> bool:
    try:
        parsed = source.from_string(config)
        parsed.checksum = checksum
        return bool(parsed.to_string() == whole)
    except Exception:  # noqa: BLE001 - passlib's parsers raise about anything
        return False


def _compute(secret: str, handler: Any, config: str) -> str:
    parsed = handler.from_string(config) if config else handler()
    parsed.checksum = parsed._calc_checksum(secret)
    return str(parsed.to_string())
