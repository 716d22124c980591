"""All that is odd about passlib, put right on subclasses of our own.

passlib 1.7.4 is of 2020. It can't work with bcrypt 5, it runs some algorithms through the standard
library's `crypt`, which holds the GIL, it loads its backends lazily and not thread-safely, and it
warns about itself. A user's own passlib code sees nothing of what is done here. libpass, its
maintained fork, is served by the same code.
"""

import contextlib
import difflib
import functools
import re
import threading
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ._forks import hold_while_forking
from ._libcrypt import load_crypt
from ._pacing import learned_costs
from ._unavailable import Shortage, unavailable
from ._verifier import MAX_HASH_SIZE, Verifier

# Filters of warnings are the process's, and passlib loads what it needs without a lock.
_loading = threading.RLock()
hold_while_forking(_loading)


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
    "MAX_SCRYPT_MEMORY",
    "Algorithm",
    "cost_kind",
    "exceeds",
    "find_algorithm",
    "get_handler",
    "is_unsalted",
    "is_wrapper",
    "load_algorithm",
    "scrypt_memory",
    "scrypt_work",
]

T = TypeVar("T")

# libcrypt's limit (CRYPT_MAX_PASSPHRASE_SIZE), in bytes. The cost of these grows with the password,
# so that without a limit a long one is an attack.
_LONGEST_SIZE = 511
_GROWING = frozenset(
    {"apr_md5_crypt", "bigcrypt", "md5_crypt", "phpass", "sha256_crypt", "sha512_crypt"}
)
# A round of SHA-crypt hashes the password once or twice, beside some 50 bytes of its own.
_SHA_CRYPT_OWN_SIZE = 48
_BCRYPT_SIZE = 72
_LAN_MANAGER_CHARSET = "cp437"

_COSTS = ("memory_cost", "time_cost", "rounds", "block_size", "parallelism")
_PLAINTEXT = frozenset({"plaintext", "ldap_plaintext", "roundup_plaintext"})
_REVERSIBLE = frozenset({"cisco_type7"})
# They drop the highest bit of each byte.
_SEVEN_BITS = frozenset({"bigcrypt", "bsdi_crypt", "crypt16", "des_crypt"})

# As argon2_verify of the reference implementation reads it, with its limits (argon2.h).
_ARGON2 = re.compile(
    r"\$argon2(?:id|i|d)\$(?:v=(?:16|19)\$)?m=[0-9]{1,10},t=[0-9]{1,10},p=[0-9]{1,8}"
    r"\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{6,}"
)
_ARGON2_MEMORY_OF_A_LANE = 8
# The most that `hashlib.scrypt` lets scrypt take, in bytes.
MAX_SCRYPT_MEMORY = 2**31 - 1
# With a lower N, the hashes around the mixing take most of the time.
_LEAST_LOG2_N = 3
# RFC 9106 section 3.1 lets a digest be as short as 4 bytes, which 2**32 guesses find.
_SHORTEST_DIGEST = 16


@dataclass(frozen=True)
class Stored:
    """A stored hash, parsed.

    Attributes:
        hashed: The string.
        costs: What it costs, by the names of the settings.
        variant: Whether it is of a weaker kind than is made today: another type or an older version
            of Argon2, or a digest that is too short.
    """

    hashed: str
    costs: Mapping[str, int]
    variant: bool = False


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
    arguments: tuple[Any, ...]

    def __reduce__(self) -> tuple[Callable[..., "Algorithm"], tuple[Any, ...]]:
        """Pickle what it was loaded by: passlib's classes are made at run time."""
        return load_algorithm, self.arguments

    @functools.cached_property
    def today(self) -> str:  # type: ignore[override] # made when it is first needed
        """A string as a new hash has it, whose digest is that of something else."""
        return _made_up(self.handler, self.costs)

    @property
    def grows(self) -> bool:  # type: ignore[override] # known only once the handler is
        """Whether the work grows with the password."""
        return _unwrapped(self.handler).name in _GROWING

    def make(self, secret: str) -> str:
        """Hash *secret*; a `ValueError` names the limit that it is over.

        Raises:
            HasherUnavailable: If the machine can't compute it now.
            ValueError: If *secret* can't be hashed faithfully.
        """
        reason = self.why_never(secret) or self._why_not_new(secret)
        if reason is not None:
            raise ValueError(f"{self.name} can't hash this password: {reason}")
        try:
            return str(_call(self.handler.hash, secret))
        except Exception as error:  # noqa: BLE001 - the password was checked, so it is the machine
            failed = unavailable(self.name, error)
        # Raised here, without a context: passlib may quote the password.
        raise failed

    def identify(self, hashed: str) -> bool:
        """Return whether *hashed* looks like one of this algorithm's."""
        return len(hashed) <= MAX_HASH_SIZE and bool(self.handler.identify(hashed))

    def is_outdated(self, hashed: str) -> bool:
        """Return whether *hashed* is weaker than a new one, and costs no more.

        Weaker is less work (the product of the settings, where lanes don't count), and what
        `Stored.variant` says. More memory is worth more than its work.
        """
        stored = _parse(self.handler, hashed)
        if stored is None:
            return False
        work, new_work = self._work(stored.costs), self._work(self.costs)
        if work > new_work or _memory(stored.costs) > _memory(self.costs):
            return False
        return work < new_work or stored.variant

    def highest_new_cost(self, secret: str) -> float:
        """Return the processor time of a check of a new hash, in seconds; 0 if not known.

        Before such a hash was checked in this process, that is worked out by other settings.
        """
        known = learned_costs((self.name, self.size_of(secret)))
        if self._settings(self.costs) in known:
            return known[self._settings(self.costs)]
        return max(
            (
                cost * self._work(self.costs) / self._work(dict(settings))
                for settings, cost in known.items()
                if isinstance(settings, tuple)
            ),
            default=0.0,
        )

    def why_never(self, secret: str) -> str | None:
        """Return why *secret* is never right, if that is so."""
        reason = super().why_never(secret)
        if reason is None and self.grows:
            reason = _longer_than(_LONGEST_SIZE, secret)
        if reason is not None:
            return reason
        try:
            if self.name == "scram":
                _call(saslprep, secret)
            if self.name == "lmhash":
                _call(str.encode, secret.upper(), _LAN_MANAGER_CHARSET)
        except UnicodeEncodeError:
            return "it has characters that are not in code page 437"
        except ValueError:
            return "it has characters that SASLprep (RFC 4013) forbids"
        return None

    def confuses(self, secret: str, hashed: str) -> bool:
        """Return whether the algorithm cuts or changes *secret*; see `Verifier.confuses`."""
        name = _unwrapped(self.handler).name
        limit = getattr(_unwrapped(self.handler), "truncate_size", None)
        if limit is not None and _longer_than(limit, secret):
            return True
        if name in _SEVEN_BITS:
            return not secret.isascii()
        if name == "scram":
            return bool(_call(saslprep, secret) != secret)
        # LAN Manager has upper case only; MySQL's old PASSWORD() skips blanks.
        return name == "lmhash" or (name == "mysql323" and bool(re.search("[ \t]", secret)))

    def _parse(self, hashed: str) -> Stored | None:
        stored = _parse(self.handler, hashed)
        if stored is None:
            return None
        return stored if self.is_within(stored.costs) else None

    def is_within(self, costs: Mapping[str, int]) -> bool:
        """Return whether a stored hash of *costs* is computed, and not refused."""
        costs = {**costs, "work": self._work(costs)}
        return all(cost <= self.max_costs.get(name, cost) for name, cost in costs.items())

    def _compute(self, secret: str, parsed: Stored) -> bool:
        return bool(_call(self.handler.verify, secret, parsed.hashed))

    def _settings_of(self, parsed: Stored) -> Hashable:
        return self._settings(parsed.costs)

    def _is_too_expensive(self, secret: str, parsed: Stored) -> bool:
        if not _is_sha_crypt(self.handler):
            return False
        size = _SHA_CRYPT_OWN_SIZE + len(secret.encode())
        return parsed.costs["rounds"] * size > self.max_costs["rounds"] * 58

    def _why_not_new(self, secret: str) -> str | None:
        """Return why *secret* can't be hashed anew, if that is so; old hashes of it may exist."""
        if _unwrapped(self.handler).name in _SEVEN_BITS and not secret.isascii():
            return "it has characters outside of ASCII, of which it takes seven bits only"
        limit = getattr(self.handler, "truncate_size", None)
        return None if limit is None else _longer_than(limit, secret)

    def _work(self, costs: Mapping[str, int]) -> int:
        return _work(self.handler, costs)

    def _settings(self, costs: Mapping[str, int]) -> Hashable:
        return tuple(sorted(costs.items()))


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
    wanted = {**costs, "work": _work(handler, costs)}
    ceilings = {key: max(limit, wanted.get(key, 0)) for key, limit in max_costs.items()}
    arguments = (name, dict(settings), dict(defaults), dict(max_costs))
    return Algorithm(name, handler, costs, ceilings, arguments)


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
        raise ValueError(f"unknown algorithm {name!r}: passlib.hash has no such name{hint}")
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


def get_handler(name: str) -> Any:
    """Return passlib's own class or wrapper, which parses without the package that computes it."""
    return registry.get_crypt_handler(name)


def is_wrapper(handler: Any) -> bool:
    """Return whether *handler* puts something before the strings of another one."""
    return isinstance(handler, PrefixWrapper)


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
    if "block_size" in costs and scrypt_memory(costs) > MAX_SCRYPT_MEMORY:
        raise ValueError(
            f"{name}: lower rounds, block_size or parallelism, since Python can't compute a hash "
            "that takes 2 GiB or more"
        )


def _costs_of(handler: Any, hashed: str) -> Mapping[str, int] | None:
    """Return the costs of *hashed*, or None if it is not of this algorithm, or malformed."""
    stored = _parse(handler, hashed)
    return None if stored is None else stored.costs


def _parse(handler: Any, hashed: str) -> Stored | None:
    """Parse *hashed*, or return None if it is not of this algorithm, or malformed.

    All that could make its computation fail is looked for here.
    """
    try:
        if len(hashed) > MAX_HASH_SIZE or not handler.identify(hashed):
            return None
        whole = hashed
        if isinstance(handler, PrefixWrapper):
            hashed, handler = handler._unwrap_hash(hashed), handler.wrapped
        parsed = handler.from_string(hashed)
        costs = _costs(parsed, handler.setting_kwds)
        digest = parsed.checksum
        if not digest or (isinstance(digest, str) and not digest.isascii()):
            return None
        if "memory_cost" not in costs:
            return Stored(whole, costs)
        lanes = costs["parallelism"]
        if (
            not _ARGON2.fullmatch(hashed)
            or not _ARGON2_MEMORY_OF_A_LANE * lanes <= costs["memory_cost"] < 2**32
            or not 1 <= lanes < 2**24
            or not 1 <= costs["time_cost"] < 2**32
        ):
            return None
        variant = (parsed.type, parsed.version) != ("id", 19) or len(digest) < _SHORTEST_DIGEST
        return Stored(whole, costs, variant)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - passlib's parsers raise about anything
        return None


def _work(handler: Any, costs: Mapping[str, int]) -> int:
    """Return what a hash costs in all, in the algorithm's own measure; lanes don't count."""
    if "memory_cost" in costs:
        return costs["memory_cost"] * costs["time_cost"]
    if "block_size" in costs:
        return scrypt_work(costs)
    rounds = costs.get("rounds", 1)
    if getattr(_unwrapped(handler), "rounds_cost", "") == "log2":
        # No more than a number: a string may say anything.
        rounds = 2 ** min(rounds, 64)
    return rounds


def scrypt_work(costs: Mapping[str, int]) -> int:
    """Return what scrypt costs in all: N times r times p, with an N of 8 at least."""
    n = 2 ** max(_LEAST_LOG2_N, min(costs["rounds"], 64))
    return int(n * costs["block_size"] * costs["parallelism"])


def exceeds(costs: Mapping[str, int], max_costs: Mapping[str, int]) -> bool:
    """Return whether *costs* are above *max_costs*, or above what can be computed at all."""
    if "block_size" in costs and scrypt_memory(costs) > MAX_SCRYPT_MEMORY:
        return True
    return any(cost > max_costs.get(name, cost) for name, cost in costs.items())


def scrypt_memory(costs: Mapping[str, int]) -> int:
    """Return the memory that scrypt takes, in bytes, as OpenSSL counts it, and 5 % more.

    passlib asks for 5 % more than is needed.
    """
    blocks = 2 ** min(costs["rounds"], 64) + costs["parallelism"] + 2
    return int(128 * costs["block_size"] * blocks * 21 // 20)


def _memory(costs: Mapping[str, int]) -> int:
    """Return the memory that a hash takes, in the algorithm's own measure."""
    if "block_size" in costs:
        return int(2 ** min(costs["rounds"], 64) * costs["block_size"])
    return costs.get("memory_cost", 0)


def _made_up(handler: Any, costs: Mapping[str, int]) -> str:
    """Return a stored string of *costs* whose digest is that of something else."""
    cheapest = {}
    if "memory_cost" in costs:
        cheapest = {"memory_cost": _ARGON2_MEMORY_OF_A_LANE * costs["parallelism"], "time_cost": 1}
    elif "rounds" in costs:
        cheapest = {"rounds": max(1, _unwrapped(handler).min_rounds)}
    with _quietly():
        hashed = handler.using(**cheapest).hash("") if cheapest else handler.hash("")
    if isinstance(handler, PrefixWrapper):
        hashed = handler._unwrap_hash(hashed)
    parsed = _unwrapped(handler).from_string(hashed)
    for name, cost in costs.items():
        setattr(parsed, "rounds" if name == "time_cost" else name, cost)
    hashed = parsed.to_string()
    return str(handler._wrap_hash(hashed) if isinstance(handler, PrefixWrapper) else hashed)


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
    return _mended_argon2(handler) if name == "argon2" else handler


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
            password = secret.encode() if isinstance(secret, str) else secret
            # bcrypt 5 refuses what all others cut, and old hashes of long passwords exist.
            password, ident = self._prepare_digest_args(password[:_BCRYPT_SIZE])
            config = self._get_config(ident).encode("ascii")
            return bcrypt.hashpw(password, config)[-31:].decode("ascii")

        # passlib warns of bits that are set in error, which it mends, in whichever thread checks.
        @classmethod
        def _norm_salt(cls, salt: str, **kwargs: Any) -> str:
            return str(super()._norm_salt(bcrypt64.check_repair_unused(salt)[1], **kwargs))

        def _norm_checksum(self, checksum: str, **kwargs: Any) -> str:
            return str(super()._norm_checksum(bcrypt64.check_repair_unused(checksum)[1], **kwargs))

    if handler.name == "bcrypt":
        return Mended
    return type(handler.name, (handler, Mended), {})


def _mended_argon2(handler: Any) -> Any:
    """Compute Argon2 in the thread that asks for it, lane after lane.

    The digest and its cost are the same. The workers are as many as the cores, so that lanes with
    threads of their own would only wait for each other; and the processor time of a check can be
    measured only where one thread does all of it. libargon2's own errors are told apart here, too:
    passlib takes a lack of memory for a malformed hash.
    """
    from argon2 import low_level  # noqa: PLC0415 - an extra

    # Of a compiled module, which has no types.
    ffi, lib = low_level.ffi, getattr(low_level, "lib")  # noqa: B009

    class Mended(handler):  # type: ignore[misc] # passlib has no types
        hash: Any = classmethod(GenericHandler.hash.__func__)
        verify: Any = classmethod(GenericHandler.verify.__func__)

        def _calc_checksum(self, secret: str | bytes) -> bytes:
            password = secret.encode() if isinstance(secret, str) else secret
            digest = ffi.new("uint8_t[]", self.checksum_size)
            buffers = [ffi.new("uint8_t[]", data) for data in (password, self.salt)]
            context = ffi.new(
                "argon2_context *",
                {
                    "out": digest,
                    "outlen": self.checksum_size,
                    "pwd": buffers[0],
                    "pwdlen": len(password),
                    "salt": buffers[1],
                    "saltlen": len(self.salt),
                    "t_cost": self.rounds,
                    "m_cost": self.memory_cost,
                    "lanes": self.parallelism,
                    "threads": 1,
                    "version": self.version,
                    "flags": lib.ARGON2_DEFAULT_FLAGS,
                },
            )
            status = low_level.core(context, low_level.Type[self.type.upper()].value)
            if status == lib.ARGON2_MEMORY_ALLOCATION_ERROR:
                raise Shortage("memory")
            if status != lib.ARGON2_OK:
                raise RuntimeError(low_level.error_to_str(status))
            return bytes(ffi.buffer(digest))

    Mended.__name__ = handler.__name__
    return Mended


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
