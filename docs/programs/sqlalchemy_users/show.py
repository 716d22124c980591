import asyncio

from app import User, engine, sessions
from sqlalchemy import select


async def main() -> None:
    async with sessions() as session:
        for user in await session.scalars(select(User)):
            print(user.username, user.password.split("$")[1])
    await engine.dispose()


asyncio.run(main())
