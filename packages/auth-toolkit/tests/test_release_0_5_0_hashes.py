"""What release 0.5.0 stored is what passlib's own defaults made. It verifies."""

import pytest

from starlette_auth_toolkit.cryptography import (
    Argon2Hasher,
    BaseHasher,
    BCryptHasher,
    CryptHasher,
    Hasher,
    MultiHasher,
    PBKDF2Hasher,
)

# All of the password `alicepwd`, made by passlib without this project.
STORED = {
    "PBKDF2Hasher": (
        PBKDF2Hasher(),
        "$pbkdf2-sha256$29000$t7Z2bg1BiPHeW8uZs3YuxQ$RpqKekLDsQRoK.heXkABA27LArYywqjZlddExdJkmiU",
    ),
    "CryptHasher": (
        CryptHasher(),
        "$5$rounds=535000$cUVPdRf7YEw8YSsV$wKgqaq8LLB2W5WiffpSCA5HEWSlr96XxMxRNSLklXZB",
    ),
    "BCryptHasher": (
        BCryptHasher(),
        "$2b$12$QC9AWA0Hb.4PAcDSGsrQRex.Hwzb3iIu08rsr8t8qBb1JwDQKoQta",
    ),
    "Argon2Hasher": (
        Argon2Hasher(),
        (
            "$argon2id$v=19$m=65536,t=3,p=4$AyBEKIWwFqK0ltL6f+/d+w"
            "$2ZxsCN+jk/pWXXNdGs+GxItl8MHjFyWct/3XIgUBPpg"
        ),
    ),
    # What passlib made before 1.7.2.
    "Argon2Hasher, type i": (
        Argon2Hasher(),
        (
            "$argon2i$v=19$m=512,t=2,p=2$0rpXSklpLUVIKSWEsFaqlQ"
            "$Ej5Ou9UmEVlwXnFxJUBfANHUt5rbvzw6t8NiAAxIk9U"
        ),
    ),
    "Hasher": (
        Hasher(algorithm="pbkdf2_sha256"),
        "$pbkdf2-sha256$29000$t7Z2bg1BiPHeW8uZs3YuxQ$RpqKekLDsQRoK.heXkABA27LArYywqjZlddExdJkmiU",
    ),
}


@pytest.mark.parametrize("name", STORED)
def test_its_hasher_verifies_it(name: str) -> None:
    hasher, hashed = STORED[name]
    assert hasher.verify_sync("alicepwd", hashed)
    assert not hasher.verify_sync("wrong", hashed)


@pytest.mark.parametrize("name", STORED)
def test_a_multi_hasher_verifies_and_replaces_it(name: str) -> None:
    hashers: list[BaseHasher] = [Argon2Hasher(memory_cost=131_072), PBKDF2Hasher()]
    hasher = MultiHasher([*hashers, CryptHasher(), BCryptHasher()])
    _, hashed = STORED[name]
    valid, new = hasher.verify_and_update_sync("alicepwd", hashed)
    assert valid
    assert new is not None
    assert new.startswith("$argon2id$v=19$m=131072,")
    assert hasher.verify_and_update_sync("alicepwd", new) == (True, None)
    assert hasher.verify_and_update_sync("wrong", hashed) == (False, None)
