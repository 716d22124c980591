"""What Spring Security's `DelegatingPasswordEncoder` stores: `{id}`, and what it names.

The ids are those of `PasswordEncoderFactories.createDelegatingPasswordEncoder`, but for `{noop}`,
which is plain text, and `{MD4}`.
"""

import functools
import hashlib
import re

from ._digests import compute_config, parse_digest
from ._format import (
    NOTHING,
    Computed,
    Format,
    Parsed,
    blank,
    decode_base64,
    parse_scrypt,
    pbkdf2,
    scrypt,
)

__all__ = ["Spring"]

_ID = re.compile(r"\{(?P<id>[A-Za-z0-9@_-]{1,40})\}")
_V5_8 = "@SpringSecurity_v5_8"
_BORROWED = {"argon2": "argon2", f"argon2{_V5_8}": "argon2", "bcrypt": "bcrypt"}
# Digest, rounds and size of the salt in bytes, of `Pbkdf2PasswordEncoder.defaultsFor…`.
_PBKDF2 = {"pbkdf2": ("sha1", 185_000, 8), f"pbkdf2{_V5_8}": ("sha256", 310_000, 16)}
_HEX = re.compile("(?:[0-9a-f]{2})+")
_SCRYPT = re.compile(
    r"\$(?P<params>[0-9a-f]{5,7})\$(?P<salt>[A-Za-z0-9+/]+={0,2})\$(?P<hash>[A-Za-z0-9+/]+={0,2})"
)
# A salt in braces, which are hashed with it, or none.
_MESSAGE_DIGEST = re.compile(r"(?P<salt>\{[^{}]{1,256}\})?(?P<hash>[0-9a-f]+)")
_MESSAGE_DIGESTS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256"}
_LDAP = re.compile(r"\{(?P<scheme>SSHA|SHA|ssha|sha)\}(?P<rest>.*)")
_STANDARD_ROUNDS = 1024
_SALT_SIZE = 8


class Spring(Format):
    """`{bcrypt}`, `{argon2}`, `{pbkdf2}`, `{scrypt}`, also of version 5.8, and older ones."""

    name = "spring"
    prefixes = ("{",)
    borrows = ("argon2", "bcrypt")
    today = "{bcrypt}$2a$10$" + 53 * "."

    def identify(self, hashed: str) -> bool:
        """Tell whether *hashed* is one: others begin with `{` too."""
        return self.parse(hashed) is not None

    def parse(self, hashed: str) -> Parsed | None:
        """Take *hashed* apart."""
        match = _ID.match(hashed)
        if match is None:
            return None
        name, rest = match["id"], hashed[match.end() :]
        if name in _BORROWED:
            return self.parse_borrowed(_BORROWED[name], rest)
        if name in _PBKDF2:
            return _parse_pbkdf2(name, hashed, rest)
        if name in _MESSAGE_DIGESTS:
            return _parse_message_digest(name, hashed, rest)
        parse = _PARSERS.get(name)
        return None if parse is None else parse(hashed, rest)

    def parse_config(self, config: str) -> Parsed | None:
        """Take apart what `Parsed.config` was."""
        _, is_digest, salt = config.partition("!")
        if is_digest:
            return compute_config("sha1", salt)
        _, is_scrypt, rest = config.partition("|")
        if is_scrypt:
            return _parse_scrypt("", rest)
        return super().parse_config(config)


def _parse_pbkdf2(name: str, hashed: str, rest: str) -> Parsed | None:
    digest, rounds, salt_size = _PBKDF2[name]
    stored = bytes.fromhex(rest) if _HEX.fullmatch(rest) else b""
    if len(stored) != salt_size + 32:
        return None
    compute = functools.partial(_pbkdf2, digest, stored[:salt_size], rounds)
    config = blank(hashed, 64)
    return Computed(f"pbkdf2_{digest}", {"rounds": rounds}, stored[salt_size:], compute, config)


def _parse_scrypt(_: str, rest: str) -> Parsed | None:
    """Take apart what `SCryptPasswordEncoder` writes: log2(N), r and p in a hexadecimal number."""
    fields = _SCRYPT.fullmatch(rest)
    salt, stored = (fields and decode_base64(fields[name]) for name in ("salt", "hash"))
    if not fields or not salt or not stored:
        return None
    params = int(fields["params"], 16)
    costs = parse_scrypt(1 << (params >> 16), params >> 8 & 255, params & 255)
    if costs is None or not 16 <= len(stored) <= 256:
        return None
    compute = functools.partial(scrypt, salt=salt, costs=costs, size=len(stored))
    zeros = f"|${fields['params']}${fields['salt']}$" + len(fields["hash"].rstrip("=")) * "A"
    return Computed("scrypt", costs, stored, compute, zeros)


def _parse_standard(hashed: str, rest: str) -> Parsed | None:
    """Take apart what `StandardPasswordEncoder` writes: SHA-256, 1,024 times over."""
    stored = bytes.fromhex(rest) if _HEX.fullmatch(rest) else b""
    if len(stored) != _SALT_SIZE + 32:
        return None
    compute = functools.partial(_standard, stored[:_SALT_SIZE])
    return Computed("salted_sha256", NOTHING, stored[_SALT_SIZE:], compute, blank(hashed, 64))


def _parse_message_digest(name: str, hashed: str, rest: str) -> Parsed | None:
    digest = _MESSAGE_DIGESTS[name]
    fields = _MESSAGE_DIGEST.fullmatch(rest)
    if fields is None or len(fields["hash"]) != 2 * hashlib.new(digest).digest_size:
        return None
    salt = (fields["salt"] or "").encode(errors="surrogatepass")
    kind = f"salted_{digest}" if salt else digest
    stored = bytes.fromhex(fields["hash"])
    compute = functools.partial(_message_digest, digest, salt)
    return Computed(kind, NOTHING, stored, compute, blank(hashed, len(fields["hash"])))


def _parse_ldap(_: str, rest: str) -> Parsed | None:
    fields = _LDAP.fullmatch(rest)
    if fields is None:
        return None
    salted = fields["scheme"].upper() == "SSHA"
    return parse_digest("sha1", decode_base64(fields["rest"]), salted=salted, config="sha1!")


def _pbkdf2(digest: str, salt: bytes, rounds: int, secret: str) -> bytes:
    return pbkdf2(digest, secret, salt, rounds, 32)


def _standard(salt: bytes, secret: str) -> bytes:
    password = salt + secret.encode()
    for _ in range(_STANDARD_ROUNDS):
        password = hashlib.sha256(password).digest()
    return password


def _message_digest(digest: str, salt: bytes, secret: str) -> bytes:
    return hashlib.new(digest, secret.encode() + salt, usedforsecurity=False).digest()


_PARSERS = {
    "ldap": _parse_ldap,
    "scrypt": _parse_scrypt,
    f"scrypt{_V5_8}": _parse_scrypt,
    "sha256": _parse_standard,
}
