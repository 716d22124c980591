"""starlette-auth-hashers alone: a plain script, with no Starlette."""

import asyncio
import importlib.util

from starlette_auth_hashers import (
    Argon2Hasher,
    BCryptHasher,
    CryptHasher,
    MultiHasher,
    PBKDF2Hasher,
)

assert importlib.util.find_spec("starlette") is None
assert importlib.util.find_spec("starlette_auth_core") is None

hasher = MultiHasher([Argon2Hasher(), PBKDF2Hasher()])

# Blocking, as a script does.
old = PBKDF2Hasher().make_sync("correct horse")
valid, new = hasher.verify_and_update_sync("correct horse", old)
assert valid
assert new is not None
assert hasher.verify_and_update_sync("correct horse", new) == (True, None)
assert hasher.verify_and_update_sync("wrong", new) == (False, None)


async def worker() -> None:
    assert await hasher.verify("correct horse", new)
    assert not await hasher.verify("wrong", new)


asyncio.run(worker())

for other in (CryptHasher(), BCryptHasher()):
    assert other.verify_sync("correct horse", other.make_sync("correct horse"))
