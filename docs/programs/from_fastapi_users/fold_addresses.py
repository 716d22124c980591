import asyncio
import sys

from app import User, engine, sessions
from sqlalchemy import select


async def main() -> None:
    async with sessions.begin() as session:
        users = (await session.scalars(select(User))).all()
        addresses = [user.email.lower() for user in users]
        shared = [user.email for user in users if addresses.count(user.email.lower()) > 1]
        if shared:
            sys.exit(f"Nothing was changed. Keep one of each of these users: {shared}")
        for user in users:
            user.email = user.email.lower()
    await engine.dispose()


asyncio.run(main())
