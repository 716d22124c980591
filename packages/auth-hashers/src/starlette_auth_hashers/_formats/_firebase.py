"""What Firebase Authentication stores: its own scrypt, with AES behind it."""

import base64
import functools
import re
from collections.abc import Mapping

from ._format import Computed, Format, Parsed, blank, decode_base64, parse_scrypt, scrypt

__all__ = ["FirebaseScrypt", "from_firebase"]

_FIELDS = re.compile(
    r"\$firebase-scrypt\$m=(?P<mem_cost>[0-9]{1,2}),r=(?P<rounds>[0-9]{1,4})"
    r"\$(?P<salt>[A-Za-z0-9+/]+)\$(?P<hash>[A-Za-z0-9+/]{22,350})"
)
# https://firebaseopensource.com/projects/firebase/scrypt says what the two may be.
_MAX_MEM_COST = 14
_MAX_ROUNDS = 8


class FirebaseScrypt(Format):
    """`$firebase-scrypt$`, the costs, the whole salt, and the key stream of AES.

    Firebase encrypts the project's signer key by AES-256 in counter mode, under a key that scrypt
    makes of the password, and stores the ciphertext. The ciphertext and the signer key differ by
    the key stream, which alone depends on the password, so that is what `from_firebase` keeps: the
    signer key is not in the database.
    """

    name = "firebase_scrypt"
    prefixes = ("$firebase-scrypt$",)
    kinds = False
    today = "$firebase-scrypt$m=14,r=8$AAAAAAAAAAAAAAA$" + 86 * "A"

    def __init__(self, max_costs: Mapping[str, int]) -> None:
        if not _has_cryptography():
            raise ImportError(
                "firebase_scrypt needs a package that is not installed: "
                'pip install "starlette-auth-hashers[firebase]"'
            )
        super().__init__(max_costs)

    def parse(self, hashed: str) -> Parsed | None:
        """Take *hashed* apart."""
        fields = _FIELDS.fullmatch(hashed)
        if fields is None:
            return None
        costs = parse_scrypt(1 << int(fields["mem_cost"]), int(fields["rounds"]), 1)
        salt, stream = decode_base64(fields["salt"]), decode_base64(fields["hash"])
        if costs is None or salt is None or stream is None:
            return None
        compute = functools.partial(_compute, salt, costs, len(stream))
        return Computed("scrypt", costs, stream, compute, blank(hashed, len(fields["hash"])))


def from_firebase(
    hash: str,  # noqa: A002 - the name that Firebase's export has
    salt: str,
    *,
    signer_key: str,
    salt_separator: str,
    rounds: int,
    mem_cost: int,
) -> str:
    """Make one stored string of an account that `firebase auth:export` has written.

    `LegacyHasher("firebase_scrypt")` verifies it. The signer key does not get into the string.

    Args:
        hash: The account's `passwordHash`, base64.
        salt: The account's `salt`, base64.
        signer_key: The project's `base64_signer_key`. It and the next three are the project's, from
            "Password hash parameters" of the Firebase console.
        salt_separator: Its `base64_salt_separator`.
        rounds: Its `rounds`, 1 to 8.
        mem_cost: Its `mem_cost`, 1 to 14.

    Returns:
        What to store.

    Raises:
        TypeError: If *rounds* or *mem_cost* is not an int.
        ValueError: If one of the texts is not base64, the hash is not as long as the key, or a
            number is out of its range.
    """
    for name, number, most in (
        ("rounds", rounds, _MAX_ROUNDS),
        ("mem_cost", mem_cost, _MAX_MEM_COST),
    ):
        if not isinstance(number, int) or isinstance(number, bool):
            raise TypeError(f"{name} must be an int, not {type(number).__name__}")
        if not 1 <= number <= most:
            raise ValueError(f"{name} must be 1 to {most}, not {number}")
    ciphertext, key = _decode("hash", hash), _decode("signer_key", signer_key)
    whole_salt = _decode("salt", salt) + _decode("salt_separator", salt_separator)
    if len(ciphertext) != len(key) or not 16 <= len(key) <= 256:
        raise ValueError("hash and signer_key must be of the same length, as Firebase exports them")
    stream = bytes(one ^ other for one, other in zip(ciphertext, key, strict=True))
    return f"$firebase-scrypt$m={mem_cost},r={rounds}${_encode(whole_salt)}${_encode(stream)}"


def _decode(name: str, text: str) -> bytes:
    # The URL-safe letters are those of the Admin SDK.
    decoded = decode_base64(text.replace("-", "+").replace("_", "/"))
    if decoded is None:
        raise ValueError(f"{name} is not base64")
    return decoded


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _compute(salt: bytes, costs: Mapping[str, int], size: int, secret: str) -> bytes:
    from cryptography.hazmat.primitives.ciphers import (  # noqa: PLC0415 - an extra
        Cipher,
        algorithms,
        modes,
    )

    password = scrypt(secret, salt, costs, 64)[:32]
    encryptor = Cipher(algorithms.AES(password), modes.CTR(bytes(16))).encryptor()
    return encryptor.update(bytes(size)) + encryptor.finalize()


def _has_cryptography() -> bool:
    try:
        import cryptography.hazmat.primitives.ciphers  # noqa: F401, PLC0415 - an extra
    except ImportError:
        return False
    return True
