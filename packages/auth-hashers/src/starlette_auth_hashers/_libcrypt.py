"""The system's `crypt_r`, called so that other threads run meanwhile.

The standard library's `crypt` holds the GIL for as long as a hash takes (and is gone in Python
3.13); a call through ctypes releases it.
"""

import ctypes
import functools
from collections.abc import Callable

__all__ = ["load_crypt"]

# The size of `struct crypt_data`: 131,232 bytes in glibc, 32,768 in libxcrypt. It has to be
# zeroed before its first use.
_BUFFER_SIZE = 131_232
# From the specification of SHA-crypt (U. Drepper, "Unix crypt using SHA-256 and SHA-512").
_KNOWN_SECRET = b"Hello world!"
_KNOWN_HASH = b"$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"


@functools.cache
def load_crypt() -> Callable[[bytes, bytes], bytes] | None:
    """Return `crypt(secret, config) -> hash`, or None where the system has none that works.

    It raises a `ValueError` for a config that libcrypt refuses. The secret must not hold a NUL,
    which ends it.
    """
    for name in ("libcrypt.so.1", "libcrypt.so.2"):
        try:
            crypt_r = ctypes.CDLL(name).crypt_r
        except (OSError, AttributeError):
            continue
        crypt_r.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
        crypt_r.restype = ctypes.c_char_p
        crypt = functools.partial(_crypt, crypt_r)
        try:
            if crypt(_KNOWN_SECRET, _KNOWN_HASH) == _KNOWN_HASH:
                return crypt
        except ValueError:
            continue
    return None


def _crypt(crypt_r: Callable[..., bytes | None], secret: bytes, config: bytes) -> bytes:
    hashed = crypt_r(secret, config, ctypes.create_string_buffer(_BUFFER_SIZE))
    if hashed is None or hashed.startswith(b"*"):
        raise ValueError("libcrypt refuses this hash")
    return hashed
