"""Import time and footprint: what each package adds to a start, and to a disk."""

import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from measure import Result, Spread, Steps, Table, hand_over, in_turns, options
from packaging.requirements import Requirement

STARLETTE = (
    "import starlette.applications, starlette.routing, starlette.responses, "
    "starlette.middleware.authentication\n"
)
QUICKSTART = (
    STARLETTE
    + "from starlette_auth_core import AuthenticationMiddleware, BaseBasicAuth, requires\n"
    "from starlette_auth_hashers import Argon2Hasher\n"
    "Argon2Hasher()\n"
)
HANDLERS = (
    "import sys, starlette_auth_hashers as hashers\n"
    "def loaded():\n"
    "    print(*sorted(name for name in sys.modules if name.startswith('passlib.handlers.')))\n"
    "loaded()\n"
    "hashers.Argon2Hasher()\n"
    "loaded()\n"
)
# What is imported -> the code, and what is imported before and doesn't count.
IMPORTS = {
    "Starlette itself": (STARLETTE, ""),
    "`starlette_auth_core`": (STARLETTE + "import starlette_auth_core", STARLETTE),
    "`starlette_auth_multi`": (STARLETTE + "import starlette_auth_multi", STARLETTE),
    "`starlette_auth_orm`": (STARLETTE + "import starlette_auth_orm", STARLETTE),
    "`starlette_auth_hashers`": ("import starlette_auth_hashers", ""),
    "the quickstart's app, with `Argon2Hasher()`": (QUICKSTART, STARLETTE),
    "pwdlib, with Argon2": ("import pwdlib.hashers.argon2", ""),
    "Django's hashers": ("import django.contrib.auth.hashers", ""),
    "FastAPI's security": (STARLETTE + "import fastapi.security", STARLETTE),
    "fastapi-users": (STARLETTE + "import fastapi_users.authentication", STARLETTE),
}
CORE = "`starlette_auth_core`"
INSTALLED = [
    "starlette",
    "starlette-auth-core",
    "starlette-auth-hashers",
    "starlette-auth-hashers[argon2,bcrypt]",
    "starlette-auth-multi",
    "starlette-auth-orm",
    "starlette-auth-toolkit",
    "pwdlib[argon2,bcrypt]",
    "Django",
    "fastapi-users",
]


def import_times(code: str) -> dict[str, float]:
    """Return the seconds that each module took, without those that it imports itself."""
    command = [sys.executable, "-X", "importtime", "-c", code or "pass"]
    run = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ours
    times = {}
    for line in run.stderr.splitlines():
        own, _, name = line.removeprefix("import time:").split("|")
        if own.strip().isdigit():
            times[name.strip()] = int(own) / 1e6
    return times


class Import:
    """What importing something takes beyond what was there before."""

    def __init__(self, code: str, before: str) -> None:
        self.code = code
        self.before = set(import_times(before))

    def __call__(self) -> float:
        times = import_times(self.code)
        return sum(seconds for name, seconds in times.items() if name not in self.before)


def with_dependencies(requirement: str, found: set[str]) -> set[str]:
    parsed = Requirement(requirement)
    name = parsed.name.lower().replace("_", "-")
    extras = {"", *parsed.extras}
    for text in metadata.requires(name) or ():
        needed = Requirement(text)
        if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras):
            chosen = f"{needed.name}[{','.join(needed.extras)}]" if needed.extras else needed.name
            if chosen not in found:
                found.add(chosen)
                with_dependencies(chosen, found)
    return {Requirement(text).name.lower().replace("_", "-") for text in {*found, name}}


def size_of(name: str) -> int:
    """Return the bytes of an installed distribution; of one of ours, those of its source."""
    source = Path(__file__).parents[1] / "packages" / name.removeprefix("starlette-") / "src"
    if name.startswith("starlette-") and source.is_dir():
        files = [path for path in source.rglob("*") if path.suffix in {".py", ".typed"}]
    else:
        files = [Path(str(file.locate())) for file in metadata.files(name) or ()]
    return sum(path.stat().st_size for path in files if path.suffix != ".pyc" and path.is_file())


def imports(result: Result, rounds: int, steps: Steps) -> None:
    figures = in_turns(
        {name: Import(*codes) for name, codes in IMPORTS.items()}, rounds, steps, "imports"
    )
    of_starlette = figures["Starlette itself"]
    table = Table(
        "Import time, by `python -X importtime`",
        ["What", "Time", "Over Starlette's own"],
        note=f"{rounds} rounds: medians, and quartiles. What runs on Starlette is counted without "
        "the modules that Starlette's have loaded.",
    )
    for name, values in figures.items():
        milliseconds = Spread.of([value * 1000 for value in values])
        ratio = Spread.of_ratios(values, of_starlette)
        table.rows.append([name, f"{milliseconds.text('{:.1f}')} ms", ratio.text()])
    result.tables.append(table)
    added = Spread.of(figures[CORE]).median * 1000
    result.aim(
        f"{CORE} adds under 15 ms over Starlette itself",
        f"{added:.1f} ms",
        met=added < 15,
        why_not="See `python -X importtime -c 'import starlette_auth_core'` for what it loads.",
    )


def handlers(result: Result) -> None:
    command = [sys.executable, "-c", HANDLERS]
    run = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ours
    at_once, after = (line.split() for line in run.stdout.splitlines())
    result.aim(
        "`starlette_auth_hashers` loads no handlers of passlib that are not used",
        f"{listed(at_once)} on import, {listed(after)} after `Argon2Hasher()`",
        met=not at_once and set(after) <= {"passlib.handlers.argon2"},
        why_not="passlib's own modules import each other.",
    )


def listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def sizes(result: Result) -> None:
    table = Table(
        "Installed size, without byte code",
        ["Distribution", "Itself", "With all that it requires", "Over fastapi-users' all"],
    )
    largest = sum(map(size_of, with_dependencies("fastapi-users", set())))
    for requirement in INSTALLED:
        own = size_of(Requirement(requirement).name.lower())
        whole = sum(map(size_of, with_dependencies(requirement, set())))
        table.rows.append(
            [
                requirement,
                f"{own / 1024:,.0f} KiB",
                f"{whole / 2**20:.1f} MiB",
                f"{whole / largest:.2f}",
            ]
        )
    result.tables.append(table)


def main() -> None:
    rounds = 15 if options(__doc__).full else 3
    steps = Steps(rounds + 2)
    result = Result()
    imports(result, rounds, steps)
    steps.step("handlers")
    handlers(result)
    steps.step("sizes")
    sizes(result)
    result.used("starlette", "fastapi", "fastapi-users", "pwdlib", "Django", "passlib")
    hand_over(result)


if __name__ == "__main__":
    main()
