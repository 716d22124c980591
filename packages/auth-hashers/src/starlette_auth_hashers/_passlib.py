"""All that is odd about passlib, put right on subclasses of our own.

passlib 1.7.4 is of 2020. It can't work with bcrypt 5, it runs some algorithms through the standard
library's `crypt`, which holds the GIL, it loads its backends lazily and not thread-safely, and it
warns about itself. A user's own passlib code sees nothing of what is done here. libpass, its
maintained fork, is served by the same code.
"""

import contextlib
import difflib
import functools
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ._libcrypt import load_crypt
from ._verifier import MAX_HASH_SIZE, Verifier

# Filters of warnings are the process's, and passlib loads what it needs without a lock.
_loading = threading.RLock()


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    # What passlib warns about while it loads is nothing that a user could act upon.
    with _loading, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


with _quietly():
    from passlib import registry
    from passlib.exc import MissingBackendError
    from passlib.utils import saslprep
    from passlib.utils.binary import bcrypt64
    from passlib.utils.handlers import GenericHandler, PrefixWrapper

__all__ = [
    "Algorithm",
    "cost_kind",
    "find_algorithm",
    "is_unsalted",
    "load_algorithm",
]

T = TypeVar("T")

# libcrypt's limit (CRYPT_MAX_PASSPHRASE_SIZE), in bytes. The cost of SHA-crypt grows with the
# password, so that without a limit a long one is an attack.
_SHA_CRYPT_SIZE = 511
_BCRYPT_SIZE = 72

_COSTS = ("memory_cost", "time_cost", "rounds", "block_size", "parallelism")
_PLAINTEXT = frozenset({"plaintext", "ldap_plaintext", "roundup_plaintext"})
_REVERSIBLE = frozenset({"cisco_type7"})
# They drop the highest bit of each byte.
_SEVEN_BITS = frozenset({"bigcrypt", "bsdi_crypt", "crypt16", "des_crypt"})


@dataclass(frozen=True)
class Algorithm(Verifier):
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
        reason = self.why_never(secret) or self._why_not_new(secret)
        if reason is not None:
            raise ValueError(f"{self.name} can't hash this password: {reason}")
        try:
            return str(_call(self.handler.hash, secret))
        except ValueError:
            pass
        # Raised here, without a cause: passlib may quote the password.
        raise ValueError(f"{self.name} can't hash this password: passlib refuses it")

    def imitate(self, secret: str) -> None:
        """Do the work of a check that fails, at the costs of a new hash."""
        if self.why_never(secret) is None:
            with contextlib.suppress(ValueError):
                _call(self.handler.hash, secret)
                return
        # Done here, without a context: passlib may quote the password.
        _call(self.handler.hash, "")

    def identify(self, hashed: str) -> bool:
        """Tell whether *hashed* looks like one of this algorithm's."""
        return len(hashed) <= MAX_HASH_SIZE and bool(self.handler.identify(hashed))

    def is_weaker(self, hashed: str) -> bool:
        """Tell whether *hashed* is one of this algorithm's that costs less than a new one."""
        stored = _costs_of(self.handler, hashed)
        return stored is not None and any(stored[name] < cost for name, cost in self.costs.items())

    def why_never(self, secret: str) -> str | None:
        """Say why *secret* is never right, if that is so."""
        reason = super().why_never(secret)
        if reason is None and _is_sha_crypt(self.handler):
            reason = _longer_than(_SHA_CRYPT_SIZE, secret)
        return reason

    def _verify(self, secret: str, hashed: str) -> bool | None:
        costs = _costs_of(self.handler, hashed)
        if costs is None or any(
            costs[name] > self.max_costs.get(name, costs[name]) for name in costs
        ):
            return None
        return bool(_call(self.handler.verify, secret, hashed))

    def _why_not_new(self, secret: str) -> str | None:
        """Say why *secret* can't be hashed anew, if that is so; old hashes of it may exist."""
        if _unwrapped(self.handler).name in _SEVEN_BITS and not secret.isascii():
            return "it has characters outside of ASCII, of which it takes seven bits only"
        if self.name == "scram":
            try:
                _call(saslprep, secret)
            except ValueError:
                return "it has characters that SASLprep (RFC 4013) forbids"
        limit = getattr(self.handler, "truncate_size", None)
        return None if limit is None else _longer_than(limit, secret)


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
        try:
            handler = handler.using(**wanted)
        except ValueError as error:
            # passlib's name for it is not that of the setting.
            setting = "time_cost" if "time_cost" in known else "rounds"
            raise ValueError(str(error).replace("min_desired_rounds", setting)) from None
    source = _unwrapped(handler)
    costs = _costs(source, source.setting_kwds)
    _refuse_impossible(name, costs)
    # Whoever asks for more than the ceiling means it: what is made must verify.
    ceilings = {key: max(limit, costs.get(key, 0)) for key, limit in max_costs.items()}
    return Algorithm(name, handler, costs, ceilings)


def find_algorithm(name: object, others: Iterable[str] = ()) -> str:
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
        close = difflib.get_close_matches(name, [*names, *others])
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


@functools.cache
def _accepted() -> Mapping[str, Any]:
    handlers = {}
    for name in registry.list_crypt_handlers():
        with contextlib.suppress(ValueError):
            handlers[name] = registry.get_crypt_handler(find_algorithm(name))
    return handlers


def is_unsalted(name: str) -> bool:
    """Tell whether equal passwords have equal hashes."""
    return "salt" not in registry.get_crypt_handler(name).setting_kwds


def cost_kind(name: str) -> str:
    """Return what says how costs of *name* are counted: its own name where that is special.

    A wrapper counts as what it wraps does, and a variant of bcrypt as bcrypt.
    """
    handler = registry.get_crypt_handler(name)
    return "bcrypt" if "bcrypt" in name else str(_unwrapped(handler).name)


def _refuse_impossible(name: str, costs: Mapping[str, int]) -> None:
    # What passlib does not: RFC 9106 section 3.1, RFC 7914 section 2.
    if costs.get("memory_cost", 0) >= 2**32:
        raise ValueError(f"{name}: memory_cost must be below 2**32 (KiB)")
    if "memory_cost" in costs and costs["parallelism"] >= 2**24:
        raise ValueError(f"{name}: parallelism must be below 2**24")
    if costs.get("block_size", 1) * costs.get("parallelism", 1) >= 2**30:
        raise ValueError(f"{name}: block_size times parallelism must be below 2**30")


def _costs_of(handler: Any, hashed: str) -> Mapping[str, int] | None:
    """Return the costs of *hashed*, or None if it is not of this algorithm, or malformed."""
    try:
        if len(hashed) > MAX_HASH_SIZE or not handler.identify(hashed):
            return None
        if isinstance(handler, PrefixWrapper):
            hashed, handler = handler._unwrap_hash(hashed), handler.wrapped
        return _costs(handler.from_string(hashed), handler.setting_kwds)
    except Exception:  # noqa: BLE001 - passlib's parsers raise about anything
        return None


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
    replaced = _replacements(name, handler)
    if replaced:
        return type(name, (handler,), replaced)
    if hasattr(handler, "get_backend"):
        try:
            handler.get_backend()  # loads it, before threads can race for it
        except MissingBackendError:
            raise _missing(name, "argon2") from None
    return handler


def _replacements(name: str, handler: Any) -> dict[str, Any]:
    """Return the methods of *handler* that are replaced in a subclass."""
    if _is_sha_crypt(handler):
        return {"_calc_checksum": _sha_crypt_checksum}
    if name == "django_des_crypt":
        return {"_calc_checksum": _django_des_crypt_checksum}
    if "os_crypt" in (getattr(handler, "backends", None) or ()):
        return {"_calc_checksum": handler._calc_checksum_builtin}
    if name == "mssql2000":
        # It holds a second hash, of the password in upper case, and passlib compares that alone.
        return {"verify": classmethod(GenericHandler.verify.__func__)}
    return {}


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
            password, ident = self._prepare_digest_args(secret)
            config = self._get_config(ident).encode("ascii")
            # bcrypt 5 refuses what all others cut, and old hashes of long passwords exist.
            return bcrypt.hashpw(password[:_BCRYPT_SIZE], config)[-31:].decode("ascii")

        # passlib warns of bits that are set in error, which it mends, in whichever thread checks.
        @classmethod
        def _norm_salt(cls, salt: str, **kwargs: Any) -> str:
            return str(super()._norm_salt(bcrypt64.check_repair_unused(salt)[1], **kwargs))

        def _norm_checksum(self, checksum: str, **kwargs: Any) -> str:
            return str(super()._norm_checksum(bcrypt64.check_repair_unused(checksum)[1], **kwargs))

    if handler.name == "bcrypt":
        return Mended
    return type(handler.name, (handler, Mended), {})


def _call(function: Callable[..., T], secret: str, *arguments: str) -> T:
    """Call a function of passlib, and drop its frames where it raises.

    They have the password in variables such as `source`, `key` and `pwd`, which error reporters
    show: those hide a password by the name of its variable only.
    """
    try:
        return function(secret, *arguments)
    except BaseException as error:  # noqa: BLE001 - it is raised again
        error.__cause__ = error.__context__ = None
        raise error.with_traceback(None) from None


def _is_sha_crypt(handler: Any) -> bool:
    return getattr(_unwrapped(handler), "ident", None) in ("$5$", "$6$")


def _unwrapped(handler: Any) -> Any:
    return handler.wrapped if isinstance(handler, PrefixWrapper) else handler


def _longer_than(limit: int, secret: str) -> str | None:
    return f"it has more than {limit} bytes" if len(secret.encode()) > limit else None


def _sha_crypt_checksum(self: Any, secret: str | bytes) -> str:
    crypt = load_crypt()
    if crypt is None:
        return str(self._calc_checksum_builtin(secret))
    password = secret.encode() if isinstance(secret, str) else secret
    hashed = crypt(password, self.to_string().encode("ascii"))
    return hashed[-self.checksum_size :].decode("ascii")


def _django_des_crypt_checksum(self: Any, secret: str | bytes) -> str:
    # It is no wrapper, and would use passlib's own des_crypt.
    return str(_mended("des_crypt")(salt=self.salt[:2])._calc_checksum(secret))


def _missing(name: str, extra: str) -> ImportError:
    install = f'pip install "starlette-auth-hashers[{extra}]"'
    return ImportError(f"{name} needs a package that is not installed: {install}")
