import asyncio

from starlette_auth_hashers import (
    Argon2Hasher,
    BCryptHasher,
    LegacyHasher,
    MultiHasher,
    PBKDF2Hasher,
)

# New hashes are Argon2. All of the others are verified, and replaced when their user logs in.
hasher = MultiHasher(
    [
        Argon2Hasher(),
        # What release 0.5.0 made, by any of its hashers that were in use.
        PBKDF2Hasher(),
        BCryptHasher(),
        # Django's default, and what it makes of an Argon2 or bcrypt hash.
        LegacyHasher("django_pbkdf2_sha256"),
        LegacyHasher("django_argon2"),
        LegacyHasher("django_bcrypt_sha256"),
        # Both of Werkzeug's, which Flask apps have: `scrypt:…` and `pbkdf2:…`.
        LegacyHasher("werkzeug"),
        # Unsalted SHA-256 in hexadecimal, from a time that is best forgotten.
        LegacyHasher("hex_sha256"),
    ]
)

# As they were stored, all of the password `correct horse`.
STORED = {
    "0.5.0, PBKDF2": "$pbkdf2-sha256$29000$I8Q4ByAkZCxlbC0FgFDKeQ$6/DIjJhDBqIu5nKXINpRr9bzf5H3teiU9dRtjzT.In4",
    "0.5.0, bcrypt": "$2b$12$bwW/sZOuxbzwR5bpiKtzsup/mZucD5T6LMv5czPJ3nOPCwxi1hy8G",
    "Django, PBKDF2": "pbkdf2_sha256$1000000$5MC6qehPznQ9k935k4GSzK$ajE4wLsMz8zI7v6Mj+5ROIItCXy+HynIYfEkUt18/n4=",
    "Django, Argon2": "argon2$argon2id$v=19$m=102400,t=2,p=8$Z2VtbHQ3cUNVeXZWUnBydE5XOHpSSQ$RrGau4v+aNNMWw9B1Qbqay/ut8xyGZYojGKJzsrgtS8",
    "Werkzeug, scrypt": "scrypt:32768:8:1$Ng3YfjyZ3aKtGYRt$56205039ac111d730a1664c98c653aa5476dcba1a5c05db6a1262ade7a580785124197cde69113e8f66d5b595bc92daf43e53a483f416c92270b996d6c9d8d87",
    "Werkzeug, PBKDF2": "pbkdf2:sha256:1000000$NZ8KjSHlJYv0ZQlJ$4c089638ce198b96f48da07e8ca10d1fea6ddf9f2a22aaf66d71fa1be67edf35",
    "SHA-256": "4104d36f8da2c254349f85836793ebe029e0c957063a34c91c2e9203187b5631",
}


async def main() -> None:
    for origin, stored in STORED.items():
        valid, new_hash = await hasher.verify_and_update("correct horse", stored)
        assert valid
        assert new_hash is not None
        print(f"{origin}: valid, and now {new_hash.split('$')[1]}")

        valid, new_hash = await hasher.verify_and_update("a wrong guess", stored)
        assert (valid, new_hash) == (False, None)


asyncio.run(main())
