"""What LDAP servers store (RFC 2307 section 5.3): `{SCHEME}`, in any case, and what it names."""

import re
from collections.abc import Mapping
from typing import ClassVar

from ._digests import compute_config, parse_digest
from ._format import Format, Parsed, decode_base64

__all__ = ["LDAP_FORMATS"]

_SCHEME = re.compile(r"\{[A-Za-z0-9-]{1,20}\}")
# Name in passlib -> scheme, digest, whether a salt follows. passlib takes salts of 4 to 16 bytes.
_DIGESTS = {
    "ldap_md5": ("{MD5}", "md5", False),
    "ldap_salted_md5": ("{SMD5}", "md5", True),
    "ldap_salted_sha1": ("{SSHA}", "sha1", True),
    "ldap_salted_sha256": ("{SSHA256}", "sha256", True),
    "ldap_salted_sha512": ("{SSHA512}", "sha512", True),
    "ldap_sha1": ("{SHA}", "sha1", False),
}
# Name in passlib -> scheme: passlib knows what comes behind it.
_WRAPPED = {
    "ldap_bcrypt": "{CRYPT}",
    "ldap_bsdi_crypt": "{CRYPT}",
    "ldap_des_crypt": "{CRYPT}",
    "ldap_hex_md5": "{MD5}",
    "ldap_hex_sha1": "{SHA}",
    "ldap_md5_crypt": "{CRYPT}",
    "ldap_pbkdf2_sha1": "{PBKDF2}",
    "ldap_pbkdf2_sha256": "{PBKDF2-SHA256}",
    "ldap_pbkdf2_sha512": "{PBKDF2-SHA512}",
    "ldap_sha1_crypt": "{CRYPT}",
    "ldap_sha256_crypt": "{CRYPT}",
    "ldap_sha512_crypt": "{CRYPT}",
}
# The costs of what passlib would make itself are too high for some, and too low for none.
_TODAY = {
    "ldap_bcrypt": "{CRYPT}$2b$12$" + 53 * ".",
    "ldap_bsdi_crypt": "{CRYPT}_J9..abcd" + 11 * ".",
    "ldap_des_crypt": "{CRYPT}ab" + 11 * ".",
    "ldap_hex_md5": "{MD5}" + 32 * "0",
    "ldap_hex_sha1": "{SHA}" + 40 * "0",
    "ldap_md5": "{MD5}" + 22 * "A" + "==",
    "ldap_md5_crypt": "{CRYPT}$1$abcdefgh$" + 22 * ".",
    "ldap_pbkdf2_sha1": "{PBKDF2}131000$AAAAAAAAAAAAAAAAAAAAAA$" + 27 * "A",
    "ldap_pbkdf2_sha256": "{PBKDF2-SHA256}29000$AAAAAAAAAAAAAAAAAAAAAA$" + 43 * "A",
    "ldap_pbkdf2_sha512": "{PBKDF2-SHA512}25000$AAAAAAAAAAAAAAAAAAAAAA$" + 86 * "A",
    "ldap_salted_md5": "{SMD5}" + 27 * "A" + "=",
    "ldap_salted_sha1": "{SSHA}" + 32 * "A",
    "ldap_salted_sha256": "{SSHA256}" + 48 * "A",
    "ldap_salted_sha512": "{SSHA512}" + 91 * "A" + "=",
    "ldap_sha1": "{SHA}" + 27 * "A" + "=",
    "ldap_sha1_crypt": "{CRYPT}$sha1$480000$abcdefgh$" + 28 * ".",
    "ldap_sha256_crypt": "{CRYPT}$5$abcdefgh$" + 43 * ".",
    "ldap_sha512_crypt": "{CRYPT}$6$abcdefgh$" + 86 * ".",
}


class _Ldap(Format):
    """One of passlib's `ldap_*`, whose scheme is the same in any case."""

    kinds = False
    scheme: ClassVar[str]

    def identify(self, hashed: str) -> bool:
        """Tell whether *hashed* is one: several have the same scheme."""
        return self.parse(hashed) is not None

    def _split(self, hashed: str) -> str | None:
        """Return what stands behind the scheme, or None if that is another one."""
        scheme = _SCHEME.match(hashed)
        if scheme is None or scheme[0].upper() != self.scheme:
            return None
        return hashed[scheme.end() :]


class _Digest(_Ldap):
    digest: ClassVar[str]
    salted: ClassVar[bool]

    def parse(self, hashed: str) -> Parsed | None:
        """Take *hashed* apart."""
        rest = self._split(hashed)
        stored = None if rest is None else decode_base64(rest)
        return parse_digest(self.digest, stored, salted=self.salted, config=".")

    def parse_config(self, config: str) -> Parsed | None:
        """Take apart what `Parsed.config` was."""
        return compute_config(self.digest, config.removeprefix("."))


class _Wrapped(_Ldap):
    def parse(self, hashed: str) -> Parsed | None:
        """Take *hashed* apart."""
        rest = self._split(hashed)
        return None if rest is None else self.parse_borrowed(self.name, self.scheme + rest)


def _build() -> Mapping[str, type[Format]]:
    formats: dict[str, type[Format]] = {}
    for name, (scheme, digest, salted) in _DIGESTS.items():
        fields = {"scheme": scheme, "digest": digest, "salted": salted}
        formats[name] = type(name, (_Digest,), fields)
    for name, scheme in _WRAPPED.items():
        formats[name] = type(name, (_Wrapped,), {"scheme": scheme, "borrows": (name,)})
    for name, format_ in formats.items():
        format_.name, format_.today = name, _TODAY[name]
    return formats


#: passlib's `ldap_*`, by their names there.
LDAP_FORMATS = _build()
