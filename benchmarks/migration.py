"""Failed logins amid a migration: the work and the time of a wrong password, by what is stored."""

import logging
from collections.abc import Callable

import anyio
from measure import (
    Result,
    Spread,
    Steps,
    Table,
    hand_over,
    in_turns,
    options,
    processor_time,
    wall_time,
)

from starlette_auth_hashers import (
    Argon2Hasher,
    BaseHasher,
    BCryptHasher,
    LegacyHasher,
    MultiHasher,
    PBKDF2Hasher,
    _pacing,
    _workers,
    configure,
    waiting,
)

PASSWORD = "correct horse battery staple"
WRONG = "a wrong guess"
LOGINS = 20
GOAL = 1.35
# As Werkzeug 3.1 and Django 5.2 store them.
WERKZEUG = "scrypt:32768:8:1$saltsaltsaltsalt$" + 128 * "0"
DJANGO = "pbkdf2_sha256$1000000$saltsaltsaltsaltsaltsa$" + 43 * "A" + "="


class Clock(_pacing.Clock):
    """Sleeps or does not, and says when so many checks wait that are awaited."""

    def __init__(self, *, sleeps: bool) -> None:
        self.sleeps = sleeps
        self.paused = 0
        self.all_wait = anyio.Event()

    def sleep(self, seconds: float) -> None:
        if self.sleeps:
            super().sleep(seconds)

    async def pause(self, seconds: float) -> None:
        self.paused += 1
        if self.paused == LOGINS:
            self.all_wait.set()
        await anyio.sleep_forever()


def hashers() -> list[BaseHasher]:
    return [
        Argon2Hasher(),
        PBKDF2Hasher(rounds=29_000),
        BCryptHasher(),
        LegacyHasher("werkzeug"),
        LegacyHasher("django_pbkdf2_sha256"),
    ]


def counted(check: Callable[[], object]) -> int:
    """Return how many computations a check takes."""
    _pacing._measured.clear()
    check()
    return sum(len(samples) for known in _pacing._measured.values() for samples in known.values())


async def workers_held(hasher: BaseHasher, stored: str) -> int:
    """Return how many workers failed logins hold while all of them wait."""
    _pacing.clock = clock = Clock(sleeps=False)
    held = 0
    async with anyio.create_task_group() as tasks:
        for number in range(LOGINS):
            tasks.start_soon(hasher.verify, f"{WRONG} {number}", stored)
        await clock.all_wait.wait()
        pool = _workers._settings.pool
        assert pool is not None
        held = len(pool._unfinished)
        assert not waiting()
        tasks.cancel_scope.cancel()
    return held


def main() -> None:
    logging.disable()  # Broken rows are logged.
    rounds = 15 if options(__doc__).full else 3
    configure(workers=2)
    members = hashers()
    hasher = MultiHasher(members)
    old = PBKDF2Hasher(rounds=29_000).make_sync(PASSWORD)
    stored: dict[str, str | None] = {
        "a new hash": Argon2Hasher().make_sync(PASSWORD),
        "Argon2id with a pass less": Argon2Hasher(time_cost=2).make_sync(PASSWORD),
        "PBKDF2, 29,000": old,
        "bcrypt, 12": BCryptHasher().make_sync(PASSWORD),
        "scrypt of Werkzeug": WERKZEUG,
        "PBKDF2 of Django, 1,000,000": DJANGO,
        "not a hash": "junk",
        "no password": None,
    }
    checks: dict[str, Callable[[], object]] = {
        kind: lambda hashed=hashed: hasher.verify_sync(WRONG, hashed)  # type: ignore[misc]  # mypy infers no lambda with a default
        for kind, hashed in stored.items()
    }
    checks["an unknown user"] = lambda: hasher.dummy_verify_sync(WRONG, "nobody")
    alone: dict[str, Callable[[], object]] = {}
    for kind, hashed in stored.items():
        owner = next((each for each in members if hashed and each.identify(hashed)), members[0])
        alone[kind] = lambda owner=owner, hashed=hashed: owner.verify_sync(PASSWORD, hashed)  # type: ignore[misc]  # as above

    _pacing.clock = Clock(sleeps=False)
    counts = {kind: counted(check) for kind, check in checks.items()}
    for check in [*checks.values()] * 2:
        check()
    steps = Steps(rounds * 2)
    work = in_turns(
        {f"{kind} failed": processor_time(check) for kind, check in checks.items()}
        | {f"{kind} alone": processor_time(check) for kind, check in alone.items()},
        rounds,
        steps,
        "work",
    )
    _pacing.clock = Clock(sleeps=True)
    times = in_turns(
        {kind: wall_time(check) for kind, check in checks.items()}, rounds, steps, "time"
    )
    held = anyio.run(workers_held, hasher, old)

    table = Table(
        "A wrong password",
        ["Stored", "Checks computed", "Processor time", "… of that check alone", "Time"],
        note=f"`MultiHasher` with Argon2id first, {rounds} rounds: medians, and the quartiles.",
    )
    worst = 0.0
    for kind in checks:
        own = Spread.of(work[f"{kind} failed"]).median
        ratio = "—"
        if f"{kind} alone" in work:
            spread = Spread.of_ratios(work[f"{kind} failed"], work[f"{kind} alone"])
            worst = max(worst, spread.median)
            ratio = spread.text()
        table.rows.append(
            [
                kind,
                str(counts[kind]),
                f"{own * 1000:.0f} ms",
                ratio,
                f"{Spread.of(times[kind]).median * 1000:.0f} ms",
            ]
        )
    medians = [Spread.of(figures).median for figures in times.values()]
    result = Result(tables=[table])
    result.aim(
        "a failed login costs one check",
        f"{max(counts.values())} computed at most, {worst:.2f} times that check's processor time",
        met=max(counts.values()) == 1 and worst <= GOAL,
        why_not="Other programs disturbed it.",
    )
    result.aim(
        f"failed logins take equally long, within {GOAL} times",
        f"{max(medians) / min(medians):.2f} times",
        met=max(medians) / min(medians) <= GOAL,
        why_not="Other programs disturbed it: a check that computes is slower then, and one that "
        "waits is not.",
    )
    result.aim(
        f"{LOGINS} failed logins that wait hold no worker",
        f"{held}",
        met=held == 0,
        why_not="A worker was held.",
    )
    result.used("starlette-auth-hashers", "passlib", "argon2-cffi", "bcrypt")
    hand_over(result)


if __name__ == "__main__":
    main()
