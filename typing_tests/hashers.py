"""What users write with hashers of other programs' hashes, peppers and wrapped hashes."""

from typing import assert_type

from starlette_auth_hashers import (
    Argon2Hasher,
    BaseHasher,
    LegacyHasher,
    MultiHasher,
    PBKDF2Hasher,
    PepperedHasher,
    WrappedHasher,
    from_firebase,
    from_keycloak,
)

peppered = PepperedHasher(Argon2Hasher(), {"2026": b"k" * 32}, current="2026")
wrapped = WrappedHasher(Argon2Hasher(), LegacyHasher("hex_md5"))
WrappedHasher(peppered, PBKDF2Hasher())
hasher: BaseHasher = MultiHasher([peppered, wrapped, LegacyHasher("dovecot")])

assert_type(from_keycloak("{}", "{}"), str)
assert_type(
    from_firebase("", "", signer_key="", salt_separator="", rounds=8, mem_cost=14),
    str,
)
assert_type(wrapped.wrap_sync(""), str)

PepperedHasher(Argon2Hasher(), {"2026": "text"}, current="2026")  # type: ignore[dict-item]
WrappedHasher(Argon2Hasher(), wrapped)  # type: ignore[arg-type]


async def main() -> None:
    assert_type(await wrapped.wrap(""), str)
    assert_type(await peppered.verify_and_update("", None), tuple[bool, str | None])
