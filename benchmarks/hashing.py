"""Hashing overhead: our hashers, next to the plain libraries, pwdlib and Django, by processor time.

Each makes and verifies hashes of the same settings, in turns.
"""

import base64
import ctypes
import ctypes.util
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import argon2
import bcrypt
import django
from django.conf import settings
from django.contrib.auth.hashers import (
    Argon2PasswordHasher,
    BCryptPasswordHasher,
    PBKDF2PasswordHasher,
)
from measure import Result, Spread, Steps, Table, hand_over, in_turns, options, processor_time
from pwdlib.hashers.argon2 import Argon2Hasher as PwdlibArgon2
from pwdlib.hashers.bcrypt import BcryptHasher as PwdlibBcrypt

from starlette_auth_hashers import Argon2Hasher, BCryptHasher, CryptHasher, Hasher, PBKDF2Hasher

PASSWORD = "correct horse battery staple"
SALT = "mXq1CVmkMTgA6gLZvkFR7w"
GOAL = 1.02


@dataclass
class Contestant:
    make: Callable[[], object]
    verify: Callable[[], object]

    def check(self) -> None:
        assert self.make()
        assert self.verify()


@dataclass
class Algorithm:
    name: str
    plain: str
    contestants: dict[str, Contestant]


def ours(hasher: Hasher) -> Contestant:
    hashed = hasher.make_sync(PASSWORD)
    return Contestant(
        lambda: hasher.make_sync(PASSWORD), lambda: hasher.verify_sync(PASSWORD, hashed)
    )


def pbkdf2(rounds: int) -> Algorithm:
    salt, password = SALT.encode(), PASSWORD.encode()
    expected = hashlib.pbkdf2_hmac("sha256", password, salt, rounds)

    def make() -> str:
        digest = hashlib.pbkdf2_hmac("sha256", password, secrets.token_bytes(16), rounds)
        return base64.b64encode(digest).decode()

    def verify() -> bool:
        digest = hashlib.pbkdf2_hmac("sha256", password, salt, rounds)
        return hmac.compare_digest(digest, expected)

    of_django = PBKDF2PasswordHasher()
    encoded = of_django.encode(PASSWORD, SALT, rounds)
    return Algorithm(
        f"PBKDF2-SHA256, {rounds:,}",
        "hashlib",
        {
            "ours": ours(PBKDF2Hasher(rounds=rounds)),
            "hashlib": Contestant(make, verify),
            "Django": Contestant(
                lambda: of_django.encode(PASSWORD, of_django.salt(), rounds),
                lambda: of_django.verify(PASSWORD, encoded),
            ),
        },
    )


def sha256_crypt(rounds: int) -> Algorithm | None:
    name = ctypes.util.find_library("crypt")
    if name is None:
        return None
    crypt = ctypes.CDLL(name).crypt
    crypt.restype = ctypes.c_char_p
    start = f"$5$rounds={rounds}$saltstring123456".encode()
    hashed = crypt(PASSWORD.encode(), start)
    return Algorithm(
        f"sha256_crypt, {rounds:,}",
        "libcrypt",
        {
            "ours": ours(CryptHasher(rounds=rounds)),
            "libcrypt": Contestant(
                lambda: crypt(PASSWORD.encode(), start),
                lambda: hmac.compare_digest(crypt(PASSWORD.encode(), hashed), hashed),
            ),
        },
    )


def blowfish(rounds: int) -> Algorithm:
    password = PASSWORD.encode()
    expected = bcrypt.hashpw(password, bcrypt.gensalt(rounds))
    of_pwdlib = PwdlibBcrypt(rounds=rounds)
    of_django = BCryptPasswordHasher()
    of_django.rounds = rounds
    encoded = of_django.encode(PASSWORD, of_django.salt())
    return Algorithm(
        f"bcrypt, {rounds}",
        "bcrypt",
        {
            "ours": ours(BCryptHasher(rounds=rounds)),
            "bcrypt": Contestant(
                lambda: bcrypt.hashpw(password, bcrypt.gensalt(rounds)),
                lambda: bcrypt.checkpw(password, expected),
            ),
            "pwdlib": Contestant(
                lambda: of_pwdlib.hash(PASSWORD), lambda: of_pwdlib.verify(PASSWORD, expected)
            ),
            "Django": Contestant(
                lambda: of_django.encode(PASSWORD, of_django.salt()),
                lambda: of_django.verify(PASSWORD, encoded),
            ),
        },
    )


def argon2id(memory: int, passes: int, lanes: int) -> Algorithm:
    # Any: the arguments after these are of other types.
    of_all: dict[str, Any] = {
        "memory_cost": memory,
        "time_cost": passes,
        "parallelism": lanes,
    }
    plain = argon2.PasswordHasher(**of_all)
    expected = plain.hash(PASSWORD)
    of_pwdlib = PwdlibArgon2(**of_all)
    of_django = Argon2PasswordHasher()
    for name, value in of_all.items():
        setattr(of_django, name, value)
    encoded = of_django.encode(PASSWORD, SALT)
    return Algorithm(
        f"Argon2id, {memory // 1024} MiB, t={passes}, p={lanes}",
        "argon2-cffi",
        {
            "ours": ours(Argon2Hasher(memory_cost=memory, time_cost=passes, parallelism=lanes)),
            "argon2-cffi": Contestant(
                lambda: plain.hash(PASSWORD), lambda: plain.verify(expected, PASSWORD)
            ),
            "pwdlib": Contestant(
                lambda: of_pwdlib.hash(PASSWORD), lambda: of_pwdlib.verify(PASSWORD, expected)
            ),
            "Django": Contestant(
                lambda: of_django.encode(PASSWORD, of_django.salt()),
                lambda: of_django.verify(PASSWORD, encoded),
            ),
        },
    )


def main() -> None:
    rounds = 15 if options(__doc__).full else 3
    settings.configure()
    django.setup()
    algorithms = [
        pbkdf2(600_000),
        sha256_crypt(535_000),
        blowfish(12),
        argon2id(65_536, 3, 4),
        argon2id(19_456, 2, 1),
        argon2id(7_168, 5, 1),
    ]
    present = [algorithm for algorithm in algorithms if algorithm is not None]
    steps = Steps(rounds * len(present))
    table = Table(
        "Time of ours over theirs",
        ["Algorithm", "Call", "Ours", "Theirs", "Ours / theirs"],
        note=f"Processor time of all threads, {rounds} rounds: medians, and the quartiles.",
    )
    result = Result(tables=[table])
    worst: tuple[float, str] = (0, "")
    bars = []
    for algorithm in present:
        for contestant in algorithm.contestants.values():
            contestant.check()
        figures = in_turns(
            {
                f"{name} {call}": processor_time(getattr(contestant, call))
                for name, contestant in algorithm.contestants.items()
                for call in ("verify", "make")
            },
            rounds,
            steps,
            algorithm.name,
        )
        for call in ("verify", "make"):
            own = figures[f"ours {call}"]
            for peer in algorithm.contestants:
                if peer == "ours":
                    continue
                theirs = figures[f"{peer} {call}"]
                ratio = Spread.of_ratios(own, theirs)
                table.rows.append(
                    [
                        algorithm.name,
                        f"`{call}_sync`",
                        f"{Spread.of(own).median * 1000:.2f} ms",
                        f"{peer} {Spread.of(theirs).median * 1000:.2f} ms",
                        ratio.text("{:.3f}"),
                    ]
                )
                bars.append(
                    [f"{algorithm.name}: {call}", peer, ratio.median, ratio.low, ratio.high]
                )
                if peer == algorithm.plain:
                    worst = max(worst, (ratio.median, f"{algorithm.name}, `{call}_sync`"))
    result.picture["hashing"] = bars
    result.aim(
        "within 2% of the plain library, `verify_sync` and `make_sync` of each hasher",
        f"at most {(worst[0] - 1) * 100:+.1f}% ({worst[1]})",
        met=worst[0] <= GOAL,
        why_not="Both call the same function. What is left is where in memory a process happens to "
        "have things: another run of this program differs by some percent.",
    )
    result.used("starlette-auth-hashers", "passlib", "argon2-cffi", "bcrypt", "pwdlib", "Django")
    hand_over(result)


if __name__ == "__main__":
    main()
