"""Growth: logins among more users, with more hashers and backends, and with longer headers."""

import argparse
import asyncio
import base64
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]  # it has none
import databases
import orm
from measure import (
    Result,
    Spread,
    Steps,
    Table,
    drive,
    hand_over,
    in_turns,
    options,
    processor_time,
    slopes,
)
from per_request import ALICE, app_with, authorization, ours, requests_to
from sqlalchemy import ForeignKey, Integer, String, Text, make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, mapped_column, relationship
from starlette.authentication import BaseUser
from starlette.requests import HTTPConnection

from starlette_auth_core import (
    AuthBackend,
    BaseBasicAuth,
    BaseBearerAuth,
    BaseTokenAuth,
    TokenAuth,
)
from starlette_auth_core.tokens import Tokens
from starlette_auth_hashers import (
    Argon2Hasher,
    BaseHasher,
    BCryptHasher,
    CryptHasher,
    Hasher,
    LegacyHasher,
    MultiHasher,
    PBKDF2Hasher,
)
from starlette_auth_multi import MultiAuth
from starlette_auth_orm import ModelBasicAuth, ModelTokenStore, token_fields
from starlette_auth_sqlalchemy import SQLAlchemyBasicAuth, SQLAlchemyTokenStore, TokenMixin

POSTGRESQL_URL = os.environ.get("TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/test")
SIZES = [10, 1_000, 100_000, 1_000_000]
PASSWORD = "correct horse battery staple"
SCHEMA = "starlette_auth_benchmarks"
KNOWN_TOKENS = 10
NUMBERS = {
    "sqlite": "(WITH RECURSIVE n (number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM n "
    "WHERE number < {size} - 1) SELECT number FROM n)",
    "postgresql": "generate_series(0, {size} - 1) AS n (number)",
}
# 64 digits that look like any other digest: the column has an index of digests of real tokens too.
DIGEST = {
    "sqlite": "lower(hex(randomblob(32)))",
    "postgresql": "encode(sha256(number::text::bytea), 'hex')",
}


class NoHasher:
    """Takes every password for the right one, at once: what is left is the query."""

    async def verify(self, secret: str, hashed: str | None, /) -> bool:
        return True

    async def verify_and_update(
        self, secret: str, hashed: str | None, /
    ) -> tuple[bool, str | None]:
        return True, None

    async def dummy_verify(self, secret: str, username: str, /) -> None:
        pass


class Users:
    """A table of users and one of tokens, of one size, and the backends on them."""

    def __init__(
        self, models: orm.ModelRegistry, sessions: async_sessionmaker[Any], size: int
    ) -> None:
        self.size = size
        self.user: Any = type(
            f"User{size}",
            (orm.Model,),
            {
                "tablename": f"benchmark_users_{size}",
                "registry": models,
                "fields": {
                    "id": orm.Integer(primary_key=True),
                    "username": orm.String(max_length=150, unique=True),
                    "password": orm.Text(),
                },
            },
        )
        self.token: Any = type(
            f"Token{size}",
            (orm.Model,),
            {
                "tablename": f"benchmark_tokens_{size}",
                "registry": models,
                "fields": token_fields(self.user),
            },
        )
        # One row in use is stored once in a while: what is measured is the look-up.
        self.source = Tokens(ModelTokenStore(self.token), prefix="bench", touch_every=None)
        self.backends: dict[str, tuple[BaseBasicAuth[Any], TokenAuth[Any]]] = {
            "encode/orm": (ModelBasicAuth(self.user, hasher=NoHasher()), TokenAuth(self.source))
        }
        self.tokens: list[str] = []
        self.add_sqlalchemy(sessions)

    def add_sqlalchemy(self, sessions: async_sessionmaker[Any]) -> None:
        """Look up in the same tables with SQLAlchemy too."""
        base: Any = type("Base", (DeclarativeBase,), {})
        user: Any = type(
            "User",
            (base,),
            {
                "__tablename__": self.user.tablename,
                "id": mapped_column(Integer, primary_key=True),
                "username": mapped_column(String(150), unique=True),
                "password": mapped_column(Text),
            },
        )
        token: Any = type(
            "Token",
            (TokenMixin, base),
            {
                "__tablename__": self.token.tablename,
                "id": mapped_column(Integer, primary_key=True),
                "user_id": mapped_column("user", ForeignKey(user.id)),
                "user": relationship(user),
            },
        )
        source = Tokens(SQLAlchemyTokenStore(token, sessions), prefix="bench", touch_every=None)
        basic = SQLAlchemyBasicAuth(user, sessions, hasher=NoHasher())
        self.backends["SQLAlchemy"] = (basic, TokenAuth(source))

    async def fill(self, database: databases.Database) -> None:
        dialect = database.url.dialect
        numbers = NUMBERS[dialect].format(size=self.size)
        users, tokens = self.user.tablename, self.token.tablename
        await database.execute(
            f"INSERT INTO {users} (username, password) "  # noqa: S608 - names of our own
            f"SELECT 'user' || number, 'hash' FROM {numbers}"
        )
        first = await self.user.objects.get(username="user0")
        for _ in range(KNOWN_TOKENS):
            token, _ = await self.source.issue(first)
            self.tokens.append(token)
        await database.execute(
            f'INSERT INTO {tokens} (digest, "user", scopes, created_at, expires_at) '  # noqa: S608
            f"SELECT {DIGEST[dialect]}, {first.pk}, '', CURRENT_TIMESTAMP, NULL FROM {numbers} "
            f"WHERE number >= {KNOWN_TOKENS}"
        )
        for name in (users, tokens):
            await database.execute(f"ANALYZE {name}")

    async def sample(self, library: str, kind: str) -> float:
        """Return how long one look-up takes."""
        basic, auth = self.backends[library]
        number = random.randrange(self.size)  # noqa: S311 - it is no secret
        token = random.choice(self.tokens)  # noqa: S311 - it is no secret
        start = time.perf_counter()
        if kind == "a valid token":
            found: object = await auth.verify(token)
        else:
            prefix = "user" if kind == "a known user" else "nobody"
            found = await basic.verify(f"{prefix}{number}", PASSWORD)
        elapsed = time.perf_counter() - start
        assert (found is None) == (kind == "an unknown user")
        return elapsed


KINDS = ("a known user", "an unknown user", "a valid token")
LIBRARIES = ("encode/orm", "SQLAlchemy")
DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}


async def users_in(url: str, looks: int, steps: Steps, **settings: Any) -> dict[str, Any]:
    database = databases.Database(url, **settings)
    models = orm.ModelRegistry(database=database)
    own_url = make_url(url).set(drivername=DRIVERS[database.url.dialect])
    engine = create_async_engine(own_url, connect_args=settings)
    tables = [Users(models, async_sessionmaker(engine), size) for size in SIZES]
    async with database:
        # Not orm's: it connects on its own, without the settings.
        for statement in creation(models, database.url.dialect):
            await database.execute(statement)
        for table in tables:
            steps.step(f"{database.url.dialect}: filling {table.size:,}")
            await table.fill(database)
        steps.step(f"{database.url.dialect}: looking up")
        times: dict[tuple[str, str, int], list[float]] = {}
        looked_up = list(product(LIBRARIES, KINDS))
        for turn in range(-20, looks):  # the first ones warm up
            for library, kind in random.sample(looked_up, len(looked_up)):
                for table in random.sample(tables, len(tables)):
                    elapsed = await table.sample(library, kind)
                    if turn >= 0:
                        times.setdefault((library, kind, table.size), []).append(elapsed)
    await engine.dispose()

    # Of ten look-ups each, the median: a pause of the machine is in one of them.
    def tens(values: list[float]) -> list[float]:
        return [Spread.of(values[at : at + 10]).median for at in range(0, looks, 10)]

    return {
        f"{kind}, {library}": {size: tens(times[library, kind, size]) for size in SIZES}
        for library, kind in looked_up
    }


def creation(models: orm.ModelRegistry, dialect: str) -> Iterator[str]:
    from sqlalchemy.dialects import postgresql, sqlite  # noqa: PLC0415 - beside its user
    from sqlalchemy.schema import CreateTable  # noqa: PLC0415 - beside its user

    chosen = {"sqlite": sqlite, "postgresql": postgresql}[dialect].dialect()
    for model in models.models.values():
        _ = model.table
    for table in models.metadata.sorted_tables:
        yield str(CreateTable(table).compile(dialect=chosen))


async def in_postgresql(looks: int, steps: Steps) -> dict[str, Any]:
    connection = await asyncpg.connect(POSTGRESQL_URL)
    try:
        await connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        await connection.execute(f"CREATE SCHEMA {SCHEMA}")
        try:
            return await users_in(
                POSTGRESQL_URL, looks, steps, server_settings={"search_path": SCHEMA}
            )
        finally:
            await connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
    finally:
        await connection.close()


async def among_users(result: Result, looks: int, steps: Steps) -> None:
    table = Table(
        "A look-up, hashing left out",
        ["Database", "Look-up", *(f"{size:,}" for size in SIZES), "Most / fewest"],
        note=f"{looks} look-ups of each: medians, and quartiles.",
    )
    result.tables.append(table)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        found["SQLite"] = await users_in(f"sqlite:///{Path(folder) / 'users.db'}", looks, steps)
    try:
        found["PostgreSQL"] = await in_postgresql(looks, steps)
    except (OSError, asyncpg.PostgresError) as error:
        host = urlsplit(POSTGRESQL_URL).hostname
        table.note += f" PostgreSQL is not measured: none answered at {host} ({error})."
    worst: tuple[float, str] = (0, "")
    for name, kinds in found.items():
        for kind, figures in kinds.items():
            ratio = Spread.of_ratios(figures[SIZES[-1]], figures[SIZES[0]])
            medians = [Spread.of(figures[size]).median * 1e6 for size in SIZES]
            table.rows.append(
                [name, kind, *(f"{value:,.0f} µs" for value in medians), ratio.text()]
            )
            result.picture.setdefault("growth", {})[f"{name}, {kind}"] = medians
            worst = max(worst, (ratio.median, f"{name}, {kind}"))
    result.aim(
        "look-ups are flat: among 1,000,000 at most 1.25 times as long as among 10",
        f"at most {worst[0]:.2f} times ({worst[1]})",
        met=worst[0] <= 1.25,
        why_not="The query goes by a unique index, whose tree has more levels over more rows: "
        "each is another page to read, or to find in memory.",
    )


def check(hasher: BaseHasher, hashed: str) -> Callable[[], bool]:
    return lambda: hasher.verify_sync(PASSWORD, hashed)


def authenticate(backend: AuthBackend[Any], conn: HTTPConnection) -> Callable[[], Any]:
    return lambda: drive(backend.authenticate(conn))


def hashers(result: Result, rounds: int, calls: int, steps: Steps) -> None:
    """Measure `MultiHasher` with 1 to 6 of them, all as cheap as they get."""
    few: list[BaseHasher] = [
        PBKDF2Hasher(rounds=1),
        Argon2Hasher(memory_cost=8, time_cost=1, parallelism=1),
        CryptHasher(rounds=1_000),
        BCryptHasher(rounds=4),
        Hasher("sha512_crypt", rounds=1_000),
        LegacyHasher("hex_sha256"),
    ]
    hashed = few[0].make_sync(PASSWORD)
    last = PBKDF2Hasher(rounds=1)
    preferred, behind = {}, {}
    for count in range(1, len(few) + 1):
        first = MultiHasher(few[:count])
        # The one of the hash is the last one, and the first one that makes hashes.
        later = MultiHasher([*few[1:count], last])
        preferred[str(count)] = processor_time(check(first, hashed), calls)
        behind[str(count)] = processor_time(check(later, hashed), calls)
    table = Table(
        "`MultiHasher`: a check of a hash that costs next to nothing (PBKDF2, 1 round)",
        [
            "Hashers; the hash is of",
            *(f"{count}" for count in range(1, 7)),
            "6 / 1",
            "A hasher more",
        ],
        note=f"Processor time, {rounds} rounds of {calls} checks: medians, and quartiles.",
    )
    result.tables.append(table)
    for name, contestants in (("the first one", preferred), ("the last one", behind)):
        figures = in_turns(contestants, rounds, steps, f"MultiHasher, {name}")
        ratio = Spread.of_ratios(figures["6"], figures["1"])
        growth = slopes(range(1, 7), figures.values())
        table.rows.append(
            [
                name,
                *(f"{Spread.of(values).median * 1e6:.1f} µs" for values in figures.values()),
                ratio.text(),
                f"{growth.median * 1e6:.2f} µs",
            ]
        )
        if name == "the first one":
            result.aim(
                "`MultiHasher` is flat: with 6 hashers at most 1.1 times as long as with 1",
                f"{ratio.median:.2f} times",
                met=ratio.median <= 1.1,
                why_not="See what a hasher more costs: it is some millionths of a real hash.",
            )
        else:
            result.aim(
                "a hash of the last hasher: under 2 µs for each hasher before it",
                f"{growth.median * 1e6:.2f} µs",
                met=growth.median < 2e-6,
                why_not="Each hasher is asked whether the hash is its own, with passlib's regular "
                "expression: it is some hundred-thousandths of a real hash.",
            )


def backends(result: Result, rounds: int, calls: int, steps: Steps) -> None:
    """Measure `MultiAuth`: the credentials are always for the last one."""

    class Last(BaseTokenAuth[BaseUser]):
        async def verify(self, token: str) -> BaseUser | None:
            return ALICE

    def other(number: int) -> BaseTokenAuth[BaseUser]:
        backend = Last()
        backend.scheme = f"Other{number}"
        return backend

    header = authorization("Token")
    counts = range(1, 11)
    contestants = {
        str(count): processor_time(
            requests_to(app_with(ours(MultiAuth([*map(other, range(count - 1)), Last()]))), header),
            calls,
        )
        for count in counts
    }
    figures = in_turns(contestants, rounds, steps, "MultiAuth")
    growth = slopes(counts, figures.values())
    medians = [Spread.of(figures[str(count)]).median * 1e6 for count in (1, 2, 4, 7, 10)]
    result.tables.append(
        Table(
            "`MultiAuth` with 1 to 10 backends: a request whose credentials are for the last one",
            [*(f"{count}" for count in (1, 2, 4, 7, 10)), "10 / 1", "A backend more"],
            [
                [
                    *(f"{value:.1f} µs" for value in medians),
                    Spread.of_ratios(figures["10"], figures["1"]).text(),
                    growth_text(growth),
                ]
            ],
            note=f"Processor time in a whole app, {rounds} rounds of {calls} requests.",
        )
    )
    result.aim(
        "`MultiAuth` is linear, with under 2 µs for each backend more",
        growth_text(growth),
        met=growth.median < 2e-6,
        why_not="Each backend reads the headers itself, so that any backend can be in it.",
    )


def growth_text(growth: Spread) -> str:
    return (
        Spread(*(value * 1e6 for value in (growth.median, growth.low, growth.high))).text("{:.2f}")
        + " µs"
    )


def headers(result: Result, rounds: int, calls: int, steps: Steps) -> None:
    class Basic(BaseBasicAuth[BaseUser]):
        async def verify(self, username: str, password: str) -> BaseUser | None:
            return ALICE

    class Token(BaseTokenAuth[BaseUser]):
        async def verify(self, token: str) -> BaseUser | None:
            return ALICE

    class Bearer(BaseBearerAuth[BaseUser]):
        async def verify(self, token: str) -> BaseUser | None:
            return ALICE

    sizes = [16, 128, 1024, 4096, 8192]
    table = Table(
        "Credentials of more bytes, up to the limit of 8 KiB: `authenticate` alone",
        ["Scheme", *(f"{size} bytes" for size in sizes), "Most / fewest", "A KiB more"],
        note=f"Processor time, {rounds} rounds of {calls} calls. A browser's eight other headers "
        "are not there.",
    )
    result.tables.append(table)
    least: tuple[float, str] = (1, "")
    for backend in (Basic(), Token(), Bearer()):
        contestants = {}
        for size in sizes:
            text = base64.b64encode(b"a:" + b"x" * (size * 3 // 4 - 2))
            credentials = text if isinstance(backend, Basic) else b"x" * size
            assert len(credentials) == size
            header = backend.scheme.encode() + b" " + credentials
            conn = HTTPConnection({"type": "http", "headers": [(b"authorization", header)]})
            contestants[str(size)] = processor_time(authenticate(backend, conn), calls)
        figures = in_turns(contestants, rounds, steps, f"headers, {backend.scheme}")
        growth = slopes([size / 1024 for size in sizes], figures.values())
        table.rows.append(
            [
                backend.scheme,
                *(f"{Spread.of(values).median * 1e6:.2f} µs" for values in figures.values()),
                Spread.of_ratios(figures["8192"], figures["16"]).text(),
                growth_text(growth),
            ]
        )
        medians = [Spread.of(values).median for values in figures.values()]
        least = min(least, (statistics.correlation(sizes, medians), backend.scheme))
    result.aim(
        "header sizes are linear: time and bytes correlate by at least 0.99",
        f"at least {least[0]:.4f} ({least[1]})",
        met=least[0] >= 0.99,
        why_not="Short headers cost what a call costs.",
    )


def main(arguments: argparse.Namespace) -> None:
    rounds, calls, looks = (40, 500, 400) if arguments.full else (8, 200, 60)
    steps = Steps(2 * (len(SIZES) + 1) + 6 * rounds)
    result = Result()
    asyncio.run(among_users(result, looks, steps))
    hashers(result, rounds, calls, steps)
    backends(result, rounds, calls, steps)
    headers(result, rounds, calls, steps)
    names = ("orm", "databases", "SQLAlchemy", "aiosqlite", "asyncpg")
    result.used("starlette-auth-orm", "starlette-auth-sqlalchemy", "starlette-auth-multi", *names)
    hand_over(result)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(options(__doc__))
