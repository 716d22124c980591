import asyncio

from app import User, database


async def main() -> None:
    async with database:
        for user in await User.objects.order_by("username").all():
            print(user.username, user.password.split("$")[1])


asyncio.run(main())
