"""Password hashers for async apps, and for everybody else."""

from ._workers import HasherBusy, configure, waiting
from .algorithms import Argon2Hasher, BCryptHasher, CryptHasher, Hasher, PBKDF2Hasher
from .base import BaseHasher, generate_random_string
from .caching import CachingHasher
from .legacy import LegacyHasher
from .multi import MultiHasher

__all__ = [
    "Argon2Hasher",
    "BCryptHasher",
    "BaseHasher",
    "CachingHasher",
    "CryptHasher",
    "Hasher",
    "HasherBusy",
    "LegacyHasher",
    "MultiHasher",
    "PBKDF2Hasher",
    "configure",
    "generate_random_string",
    "waiting",
]
