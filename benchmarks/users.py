"""What a login costs the database among 10 users and among 1,000,000.

Run it with the packages installed: `python benchmarks/users.py`, or give it the URL of a database:
`python benchmarks/users.py postgresql://user@localhost/name`. It makes and drops two tables there.

The hasher does nothing, so that what is measured is the query and what is around it. Logins among
few and among many take turns, and what is shown is the median of each: what slows the machine for
a while slows both.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import databases
import orm

from starlette_auth_orm import ModelBasicAuth

FEW, MANY = 10, 1_000_000
FILL = {
    "sqlite": "INSERT INTO {table} (username, password) "
    "WITH RECURSIVE numbers (number) AS "
    "(SELECT 0 UNION ALL SELECT number + 1 FROM numbers WHERE number < {size} - 1) "
    "SELECT 'user' || number, 'hash' FROM numbers",
    "postgresql": "INSERT INTO {table} (username, password) "
    "SELECT 'user' || number, 'hash' FROM generate_series(0, {size} - 1) AS number",
}


class NoHasher:
    """Takes every password for the right one, at once."""

    async def verify(self, secret: str, hashed: str | None, /) -> bool:
        return True

    async def verify_and_update(
        self, secret: str, hashed: str | None, /
    ) -> tuple[bool, str | None]:
        return True, None

    async def dummy_verify(self, secret: str, username: str, /) -> None:
        pass


async def measure(url: str, logins: int) -> None:
    database = databases.Database(url)
    models = orm.ModelRegistry(database=database)
    backends = {}
    for size in (FEW, MANY):
        model: Any = type(
            f"Among{size}",
            (orm.Model,),
            {
                "tablename": f"starlette_auth_benchmark_{size}",
                "registry": models,
                "fields": {
                    "id": orm.Integer(primary_key=True),
                    # The index in question.
                    "username": orm.String(max_length=150, unique=True),
                    "password": orm.Text(),
                },
            },
        )
        backends[size] = ModelBasicAuth(model, hasher=NoHasher())
    await models.create_all()
    try:
        async with database:
            for size in (FEW, MANY):
                table = f"starlette_auth_benchmark_{size}"
                await database.execute(FILL[database.url.dialect].format(table=table, size=size))
                await database.execute(f"ANALYZE {table}")
            await compare(backends, logins, database.url.dialect)
    finally:
        await models.drop_all()


async def compare(backends: dict[int, ModelBasicAuth[Any]], logins: int, dialect: str) -> None:
    times: dict[tuple[int, str], list[float]] = {}
    for turn in range(-100, logins):  # the first ones warm up
        for size, backend in backends.items():
            number = random.randrange(size)  # noqa: S311 - it is no secret
            for kind, username in (
                ("a known user", f"user{number}"),
                ("an unknown user", f"nobody{number}"),
            ):
                start = time.perf_counter()
                user = await backend.verify(username, "password")
                elapsed = time.perf_counter() - start
                assert (user is None) == (kind == "an unknown user")
                if turn >= 0:
                    times.setdefault((size, kind), []).append(elapsed)
    for kind in ("a known user", "an unknown user"):
        few, many = (statistics.median(times[size, kind]) * 1e6 for size in (FEW, MANY))
        print(
            f"{dialect}, {kind}: {few:,.0f} µs among {FEW}, {many:,.0f} µs among {MANY:,}: "
            f"{many / few:.2f} times"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url", nargs="?", help="of a database; without one, a file of SQLite")
    parser.add_argument("--logins", type=int, default=1000, help="of each kind that are measured")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = arguments.url or f"sqlite:///{Path(folder) / 'users.db'}"
        asyncio.run(measure(url, arguments.logins))


if __name__ == "__main__":
    main()
