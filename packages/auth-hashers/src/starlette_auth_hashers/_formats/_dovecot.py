"""What Dovecot stores: `{SCHEME}`, or `{SCHEME.encoding}`, and what it names.

The schemes are those of https://doc.dovecot.org, "Password Schemes". Plain text is left out, and so
is what needs the user's name, or stands for one kind of login only.
"""

import functools
import hashlib
import hmac
import re

from ._crypts import parse_crypt
from ._digests import compute_config, parse_digest
from ._format import Computed, Format, Parsed, blank, decode_base64, parse_rounds, pbkdf2
from ._yescrypt import Yescrypt

__all__ = ["Dovecot"]

_SCHEME = re.compile(r"\{(?P<scheme>[A-Za-z0-9-]{1,20})(?:\.(?P<encoding>[A-Za-z0-9]{3,6}))?\}")
_BORROWED = {
    "ARGON2I": "argon2",
    "ARGON2ID": "argon2",
    "BLF-CRYPT": "bcrypt",
    "DES-CRYPT": "des_crypt",
    "MD5": "md5_crypt",
    "MD5-CRYPT": "md5_crypt",
    "SHA256-CRYPT": "sha256_crypt",
    "SHA512-CRYPT": "sha512_crypt",
}
# Scheme -> digest, whether a salt follows, and the encoding where none is named.
_DIGESTS = {
    "LDAP-MD5": ("md5", False, "BASE64"),
    "PLAIN-MD5": ("md5", False, "HEX"),
    "SHA": ("sha1", False, "BASE64"),
    "SHA1": ("sha1", False, "BASE64"),
    "SHA256": ("sha256", False, "BASE64"),
    "SHA512": ("sha512", False, "BASE64"),
    "SMD5": ("md5", True, "BASE64"),
    "SSHA": ("sha1", True, "BASE64"),
    "SSHA256": ("sha256", True, "BASE64"),
    "SSHA512": ("sha512", True, "BASE64"),
}
_PBKDF2 = re.compile(r"\$1\$(?P<salt>[^$]{1,64})\$(?P<rounds>[0-9]{1,10})\$(?P<hash>[0-9a-f]{40})")
_SCRAM = re.compile(
    r"(?P<rounds>[0-9]{1,10}),(?P<salt>[A-Za-z0-9+/]+={0,2}),(?P<stored>[A-Za-z0-9+/]+={0,2})"
    r",(?P<server>[A-Za-z0-9+/]+={0,2})"
)
_SCRAMS = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}


class Dovecot(Format):
    """`{SHA512-CRYPT}`, `{BLF-CRYPT}`, `{ARGON2ID}`, `{SSHA256}` and so on."""

    name = "dovecot"
    prefixes = ("{",)
    borrows = (
        "argon2",
        "bcrypt",
        "bsdi_crypt",
        "des_crypt",
        "md5_crypt",
        "sha256_crypt",
        "sha512_crypt",
    )
    # What `doveadm pw` of version 2.3 makes by itself.
    today = "{CRYPT}$2y$05$" + 53 * "."

    def identify(self, hashed: str) -> bool:
        """Tell whether *hashed* is one: others begin with `{` too."""
        return self.parse(hashed) is not None

    def parse(self, hashed: str) -> Parsed | None:
        """Take *hashed* apart."""
        match = _SCHEME.match(hashed)
        if match is None:
            return None
        scheme, encoding = match["scheme"].upper(), (match["encoding"] or "").upper()
        rest = hashed[match.end() :]
        if scheme in _DIGESTS:
            return _parse_digest(scheme, encoding, rest)
        return None if encoding else self._parse_scheme(hashed, scheme, rest)

    def _parse_scheme(self, hashed: str, scheme: str, rest: str) -> Parsed | None:
        if scheme in _BORROWED:
            return self.parse_borrowed(_BORROWED[scheme], rest)
        if scheme == "CRYPT":
            return parse_crypt(self, rest)
        if scheme == "PBKDF2":
            return _parse_pbkdf2(hashed, rest)
        return _parse_scram(scheme, rest) if scheme in _SCRAMS else None

    def parse_config(self, config: str) -> Parsed | None:
        """Take apart what `Parsed.config` was."""
        kind, is_digest, salt = config.partition("!")
        if is_digest:
            return compute_config(kind, salt)
        scheme, is_scram, rest = config.partition("|")
        if is_scram:
            return _parse_scram(scheme, rest + "AAAA,AAAA")
        if config.partition(".")[2].startswith("$y$"):
            return Yescrypt({}).parse_config(config)
        return super().parse_config(config)


def _parse_digest(scheme: str, encoding: str, rest: str) -> Parsed | None:
    digest, salted, usual = _DIGESTS[scheme]
    encoding = encoding or usual
    if encoding == "HEX":
        stored = bytes.fromhex(rest) if re.fullmatch("(?:[0-9A-Fa-f]{2})+", rest) else None
    else:
        stored = decode_base64(rest) if encoding in {"B64", "BASE64"} else None
    return parse_digest(digest, stored, salted=salted, config=f"{digest}!")


def _parse_pbkdf2(hashed: str, rest: str) -> Parsed | None:
    fields = _PBKDF2.fullmatch(rest)
    rounds = fields and parse_rounds(fields["rounds"])
    if not fields or not rounds:
        return None
    salt = fields["salt"].encode(errors="surrogatepass")
    return Computed(
        "pbkdf2_sha1",
        {"rounds": rounds},
        bytes.fromhex(fields["hash"]),
        functools.partial(_pbkdf2, salt, rounds),
        blank(hashed, 40),
    )


def _parse_scram(scheme: str, rest: str) -> Parsed | None:
    fields = _SCRAM.fullmatch(rest)
    rounds = fields and parse_rounds(fields["rounds"])
    salt, stored = (fields and decode_base64(fields[name]) for name in ("salt", "stored"))
    if not fields or not rounds or not salt or not stored:
        return None
    digest = _SCRAMS[scheme]
    return Computed(
        f"scram_{digest}",
        {"rounds": rounds},
        stored,
        functools.partial(_scram, digest, salt, rounds),
        f"{scheme}|{fields['rounds']},{fields['salt']},",
    )


def _pbkdf2(salt: bytes, rounds: int, secret: str) -> bytes:
    return pbkdf2("sha1", secret, salt, rounds, 20)


def _scram(digest: str, salt: bytes, rounds: int, secret: str) -> bytes:
    """Compute the StoredKey of RFC 5802 section 3."""
    salted = pbkdf2(digest, secret, salt, rounds)
    return hashlib.new(digest, hmac.digest(salted, b"Client Key", digest)).digest()
