"""Password hashers, from starlette-auth-hashers."""

from starlette_auth_hashers import (
    Argon2Hasher,
    BaseHasher,
    BCryptHasher,
    CryptHasher,
    Hasher,
    MultiHasher,
    PBKDF2Hasher,
    generate_random_string,
)

__all__ = [
    "Argon2Hasher",
    "BCryptHasher",
    "BaseHasher",
    "CryptHasher",
    "Hasher",
    "MultiHasher",
    "PBKDF2Hasher",
    "generate_random_string",
]
