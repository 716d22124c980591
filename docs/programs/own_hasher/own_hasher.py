import asyncio
import hashlib
import hmac
import secrets

from starlette_auth_hashers import Argon2Hasher, BaseHasher, MultiHasher


class ShopHasher(BaseHasher):
    """What an old shop system made: `shop$salt$…`, PBKDF2 with 10,000 rounds."""

    def make_sync(self, secret: str) -> str:
        salt = secrets.token_hex(16)
        return f"shop${salt}${self._derive(secret, salt)}"

    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        _, _, rest = (hashed or "").partition("shop$")
        salt, _, derived = rest.partition("$")
        # Whatever is stored costs one computation, and no hash is empty.
        return hmac.compare_digest(self._derive(secret, salt).encode(), derived.encode())

    def identify(self, hashed: str) -> bool:
        return hashed.startswith("shop$")

    def _derive(self, secret: str, salt: str) -> str:
        password = secret.encode("utf-8", "surrogatepass")  # whatever is typed, nothing is raised
        return hashlib.pbkdf2_hmac("sha256", password, salt.encode(), 10_000).hex()


hasher = MultiHasher([Argon2Hasher(), ShopHasher()])


async def main() -> None:
    stored = await ShopHasher().make("correct horse")
    print(await hasher.verify("a wrong guess", stored))
    valid, new_hash = await hasher.verify_and_update("correct horse", stored)
    assert new_hash is not None
    print(valid, new_hash.split("$")[1])


asyncio.run(main())
