"""What the demo's database holds before the first request."""

from app import User, database, hasher, models, tokens

from starlette_auth_hashers import PBKDF2Hasher

# As strong as release 0.5.0 made them.
OLD_HASHER = PBKDF2Hasher(rounds=29_000)


async def create_users() -> str:
    """Create alice, bob with an old hash, and a token of alice's, which is returned."""
    await models.create_all()
    async with database:
        for name in ("alice", "bob"):  # where DATABASE_URL names a database that was used before
            await User.objects.filter(username=name).delete()
        alice = await User.objects.create(username="alice", password=await hasher.make("alicepwd"))
        await User.objects.create(username="bob", password=await OLD_HASHER.make("bobpwd"))

        # Shown once, here. What is stored can't be turned back into it.
        token, _ = await tokens.issue(alice)
    return token


async def stored_hash(username: str) -> str:
    """Return what is stored for a user."""
    async with database:
        user = await User.objects.get(username=username)
    hashed: str = user.password
    return hashed
