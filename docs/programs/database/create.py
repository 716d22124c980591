import asyncio

from app import User, database, hasher, models

from starlette_auth_hashers import PBKDF2Hasher


async def main() -> None:
    await models.create_all()
    async with database:
        # As a new user, as one whose hash was made years ago, and as one who has left.
        old_hash = await PBKDF2Hasher(rounds=29_000).make("bobpwd")
        new_hash = await hasher.make("alicepwd")
        await User.objects.create(username="alice", email="alice@example.org", password=new_hash)
        await User.objects.create(username="bob", email="bob@example.org", password=old_hash)
        await User.objects.create(
            username="carol", email="carol@example.org", password=new_hash, is_active=False
        )


asyncio.run(main())
