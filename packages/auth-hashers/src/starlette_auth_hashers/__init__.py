"""Password hashers for async apps, and for everybody else."""

from ._algorithms import Argon2Hasher, BCryptHasher, CryptHasher, Hasher, PBKDF2Hasher
from ._base import BaseHasher, generate_random_string
from ._caching import CachingHasher
from ._formats import from_firebase, from_keycloak
from ._legacy import LegacyHasher
from ._multi import MultiHasher
from ._peppered import PepperedHasher
from ._unavailable import HasherUnavailable
from ._workers import HasherBusy, configure, waiting
from ._wrapped import WrappedHasher

__all__ = [
    "Argon2Hasher",
    "BCryptHasher",
    "BaseHasher",
    "CachingHasher",
    "CryptHasher",
    "Hasher",
    "HasherBusy",
    "HasherUnavailable",
    "LegacyHasher",
    "MultiHasher",
    "PBKDF2Hasher",
    "PepperedHasher",
    "WrappedHasher",
    "configure",
    "from_firebase",
    "from_keycloak",
    "generate_random_string",
    "waiting",
]
