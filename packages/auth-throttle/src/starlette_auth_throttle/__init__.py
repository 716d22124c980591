"""Limits on failed logins, in memory and shared over Redis."""

from ._attempts import Attempt
from ._keys import Key, by_address, by_username
from ._limits import Limit
from ._memory import MemoryStore
from ._redis import RedisStore
from ._throttled import Throttled

__all__ = [
    "Attempt",
    "Key",
    "Limit",
    "MemoryStore",
    "RedisStore",
    "Throttled",
    "by_address",
    "by_username",
]
