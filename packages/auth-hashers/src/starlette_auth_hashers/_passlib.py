"""All that is odd about passlib, put right on subclasses of our own.

passlib 1.7.4 is of 2020. It can't work with bcrypt 5, it runs some algorithms through the standard
library's `crypt`, which holds the GIL, it loads its backends lazily and not thread-safely, and it
warns about itself. A user's own passlib code sees nothing of what is done here. libpass, its
maintained fork, is served by the same code.
"""

import contextlib
import difflib
import functools
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ._libcrypt import load_crypt


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    # What passlib warns about while it loads is nothing that a user could act upon.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


with _quietly():
    from passlib import registry
    from passlib.exc import MissingBackendError
    from passlib.utils import MAX_PASSWORD_SIZE
    from passlib.utils.binary import bcrypt64
    from passlib.utils.handlers import PrefixWrapper

__all__ = ["Algorithm", "cost_kind", "find_algorithm", "is_unsalted", "load_algorithm"]

logger = logging.getLogger(__name__)

# The longest stored string that is looked at, in characters; real ones have under 500.
_MAX_HASH_SIZE = 4096
# libcrypt's limit (CRYPT_MAX_PASSPHRASE_SIZE), in bytes. The cost of SHA-crypt grows with the
# password, so that without a limit a long one is an attack.
_SHA_CRYPT_SIZE = 511
_BCRYPT_SIZE = 72

_COSTS = ("memory_cost", "time_cost", "rounds", "block_size", "parallelism")
_PLAINTEXT = frozenset({"plaintext", "ldap_plaintext", "roundup_plaintext"})
_REVERSIBLE = frozenset({"cisco_type7"})


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One algorithm of passlib at one strength.

    Attributes:
        name: Its name in `passlib.hash`.
        handler: passlib's class or wrapper.
        costs: What a new hash costs, by the names of the settings.
        max_costs: The costs above which a stored hash is refused.
    """

    name: str
    handler: Any
    costs: Mapping[str, int]
    max_costs: Mapping[str, int]

    def make(self, secret: str) -> str:
        """Hash *secret*; a `ValueError` names the limit that it is over."""
        reason = self._why_not(secret) or self._why_not_new(secret)
        if reason is not None:
            raise ValueError(f"{self.name} can't hash this password: {reason}")
        hashed: str | None = None
        with contextlib.suppress(ValueError):
            hashed = self.handler.hash(secret)
        if hashed is None:
            # Raised here, without a cause: passlib may quote the password.
            raise ValueError(f"{self.name} can't hash this password")
        return hashed

    def check(self, secret: str, hashed: str) -> bool | None:
        """Tell whether *secret* is right; None where that was not worked out at all.

        That is so for a stored string that is not of this algorithm or costs beyond reason, and
        for a password that the algorithm can't take. It is logged, without either.
        """
        if self._why_not(secret) is not None:
            logger.info("A password is none that %s can take", self.name)
            return None
        try:
            if self.identify(hashed) and self._is_affordable(hashed):
                return bool(self.handler.verify(secret, hashed))
            reason = "is none, or costs too much"
        except Exception as error:  # noqa: BLE001 - passlib's parsers raise about anything
            reason = f"can't be checked ({type(error).__name__})"
        logger.warning("A stored hash of %s %s", self.name, reason)
        return None

    def imitate(self, secret: str) -> None:
        """Do the work of a check that fails, at the costs of a new hash."""
        try:
            self.handler.hash("" if self._why_not(secret) else secret)
        except ValueError:
            self.handler.hash("")

    def identify(self, hashed: str) -> bool:
        """Tell whether *hashed* looks like one of this algorithm's."""
        return len(hashed) <= _MAX_HASH_SIZE and bool(self.handler.identify(hashed))

    def is_weaker(self, hashed: str) -> bool:
        """Tell whether *hashed* is one of this algorithm's that costs less than a new one."""
        stored = self.costs_of(hashed)
        return any(stored.get(name, cost) < cost for name, cost in self.costs.items())

    def costs_of(self, hashed: str) -> Mapping[str, int]:
        """Return the costs of *hashed*: none if it is malformed."""
        try:
            return self._parse_costs(hashed)
        except Exception:  # noqa: BLE001 - passlib's parsers raise about anything
            return {}

    def _parse_costs(self, hashed: str) -> Mapping[str, int]:
        handler = self.handler
        if isinstance(handler, PrefixWrapper):
            hashed, handler = handler._unwrap_hash(hashed), handler.wrapped
        return _costs(handler.from_string(hashed), handler.setting_kwds)

    def _is_affordable(self, hashed: str) -> bool:
        if not hasattr(self.handler, "rounds_cost"):
            return True  # of one fixed cost
        stored = self._parse_costs(hashed)
        return all(stored.get(name, 0) <= cost for name, cost in self.max_costs.items())

    def _why_not(self, secret: str) -> str | None:
        """Say why *secret* can't be told from others, if that is so."""
        try:
            size = len(secret.encode())
        except UnicodeEncodeError:
            return "it has a lone surrogate, which UTF-8 has no bytes for"
        if len(secret) > MAX_PASSWORD_SIZE:
            return f"it has more than {MAX_PASSWORD_SIZE} characters"
        if _is_sha_crypt(self.handler) and size > _SHA_CRYPT_SIZE:
            return f"it has more than {_SHA_CRYPT_SIZE} bytes"
        return None

    def _why_not_new(self, secret: str) -> str | None:
        """Say why *secret* can't be hashed anew, if that is so; old hashes of it may exist."""
        limit = getattr(self.handler, "truncate_size", None)
        if limit is not None and len(secret.encode()) > limit:
            return f"it has more than {limit} bytes"
        return "it has a NUL character" if "\0" in secret else None


def load_algorithm(
    name: str,
    settings: Mapping[str, int],
    defaults: Mapping[str, int],
    max_costs: Mapping[str, int],
) -> Algorithm:
    """Load an algorithm at *settings*, where *defaults* stand for those not given.

    Raises:
        ImportError: If the package that computes it is missing.
        TypeError: If it has no such setting, or one is no integer.
        ValueError: If it has no such value.
    """
    with _quietly():
        handler = _mended(name)
        known = [cost for cost in _COSTS if cost in handler.setting_kwds]
        if "time_cost" in known:
            known.remove("rounds")  # passlib's other name for it
        for key, value in settings.items():
            if key not in known:
                allowed = f"has the settings {', '.join(known)}" if known else "has no settings"
                raise TypeError(f"{name} {allowed}, not {key}")
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{key} must be an int, not {value!r}")
        wanted = {key: value for key, value in defaults.items() if key in known} | dict(settings)
        handler = handler.using(**wanted)
    source = handler.wrapped if isinstance(handler, PrefixWrapper) else handler
    costs = _costs(source, source.setting_kwds)
    # Whoever asks for more than the ceiling means it: what is made must verify.
    ceilings = {key: max(limit, costs.get(key, 0)) for key, limit in max_costs.items()}
    return Algorithm(name, handler, costs, ceilings)


def find_algorithm(name: object) -> str:
    """Return *name* if a stored hash of that name can be verified.

    What passlib registers as a password hash can, but for plain text, disabled accounts, what can
    be decrypted, and what needs the user's name.

    Raises:
        TypeError: If *name* is no string.
        ValueError: If it is none of those; the message says which was meant, or why not.
    """
    if not isinstance(name, str):
        raise TypeError(f"algorithm must be the name of one, a str, not {name!r}")
    names = registry.list_crypt_handlers()
    if name not in names:
        close = difflib.get_close_matches(name, names)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise ValueError(f"{name!r} is no password hash of passlib.hash{hint}")
    with _quietly():
        handler = registry.get_crypt_handler(name)
    if name in _PLAINTEXT or name in _REVERSIBLE:
        raise ValueError(f"{name} does not hide the password: choose a password hash")
    if getattr(handler, "is_disabled", False):
        raise ValueError(f"{name} marks accounts that nobody can log into: choose a password hash")
    if "user" in handler.context_kwds:
        raise ValueError(f"{name} needs the user's name, which a hasher does not have")
    return name


def is_unsalted(name: str) -> bool:
    """Tell whether equal passwords have equal hashes."""
    return "salt" not in registry.get_crypt_handler(name).setting_kwds


def cost_kind(name: str) -> str:
    """Return what says how costs of *name* are counted: its own name where that is special.

    A wrapper counts as what it wraps does, and a variant of bcrypt as bcrypt.
    """
    handler = registry.get_crypt_handler(name)
    wrapped = handler.wrapped if isinstance(handler, PrefixWrapper) else handler
    return "bcrypt" if "bcrypt" in name else str(wrapped.name)


def _costs(source: Any, settings: tuple[str, ...]) -> dict[str, int]:
    """Read the costs off a handler, or off one that was parsed from a hash."""
    costs = {}
    for name in _COSTS:
        if name in settings and not (name == "rounds" and "time_cost" in settings):
            attribute = "rounds" if name == "time_cost" else name
            if attribute == "rounds" and isinstance(source, type):
                attribute = "default_rounds"
            costs[name] = int(getattr(source, attribute))
    return costs


@functools.cache
def _mended(name: str) -> Any:
    handler = registry.get_crypt_handler(name)
    if isinstance(handler, PrefixWrapper):
        wrapped = _mended(handler.wrapped.name)
        return PrefixWrapper(name, wrapped, prefix=handler.prefix, orig_prefix=handler.orig_prefix)
    if "bcrypt" in name:
        return _mended_bcrypt(handler)
    if _is_sha_crypt(handler):
        return type(name, (handler,), {"_calc_checksum": _sha_crypt_checksum})
    if "os_crypt" in (getattr(handler, "backends", None) or ()):
        builtin = handler._calc_checksum_builtin
        return type(name, (handler,), {"_calc_checksum": builtin})
    if hasattr(handler, "get_backend"):
        try:
            handler.get_backend()  # loads it, before threads can race for it
        except MissingBackendError:
            raise _missing(name, "argon2") from None
    return handler


def _mended_bcrypt(handler: Any) -> Any:
    try:
        import bcrypt  # noqa: PLC0415 - an extra
    except ImportError:
        raise _missing(handler.name, "bcrypt") from None

    class Mended(registry.get_crypt_handler("bcrypt")):  # type: ignore[misc] # passlib has no types
        # bcrypt has no `$2$`, which passlib can imitate.
        _lacks_20_support = True
        _fallback_ident = "$2b$"

        def _calc_checksum(self, secret: str | bytes) -> str:
            prepared, ident = self._prepare_digest_args(secret)
            config = self._get_config(ident).encode("ascii")
            # bcrypt 5 refuses what all others cut, and old hashes of long passwords exist.
            return bcrypt.hashpw(prepared[:_BCRYPT_SIZE], config)[-31:].decode("ascii")

        # passlib warns of bits that are set in error, which it mends, in whichever thread checks.
        @classmethod
        def _norm_salt(cls, salt: str, **kwargs: Any) -> str:
            return str(super()._norm_salt(bcrypt64.check_repair_unused(salt)[1], **kwargs))

        def _norm_checksum(self, checksum: str, **kwargs: Any) -> str:
            return str(super()._norm_checksum(bcrypt64.check_repair_unused(checksum)[1], **kwargs))

    if handler.name == "bcrypt":
        return Mended
    return type(handler.name, (handler, Mended), {})


def _is_sha_crypt(handler: Any) -> bool:
    if isinstance(handler, PrefixWrapper):
        handler = handler.wrapped
    return getattr(handler, "ident", None) in ("$5$", "$6$")


def _sha_crypt_checksum(self: Any, secret: str | bytes) -> str:
    crypt = load_crypt()
    if crypt is None:
        return str(self._calc_checksum_builtin(secret))
    encoded = secret.encode() if isinstance(secret, str) else secret
    if b"\0" in encoded:
        raise ValueError("NUL ends a password for libcrypt")
    hashed = crypt(encoded, self.to_string().encode("ascii"))
    return hashed[-self.checksum_size :].decode("ascii")


def _missing(name: str, extra: str) -> ImportError:
    install = f'pip install "starlette-auth-hashers[{extra}]"'
    return ImportError(f"{name} needs a package that is not installed: {install}")
