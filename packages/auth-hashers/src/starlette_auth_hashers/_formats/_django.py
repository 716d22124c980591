"""What `django.contrib.auth.hashers.ScryptPasswordHasher` stores; passlib has Django's others."""

import functools
import re

from ._format import Computed, Format, Parsed, blank, decode_base64, parse_scrypt, scrypt

__all__ = ["DjangoScrypt"]

_FIELDS = re.compile(
    r"scrypt\$(?P<n>[0-9]{1,9})\$(?P<salt>[^$]+)\$(?P<r>[0-9]{1,9})\$(?P<p>[0-9]{1,9})"
    r"\$(?P<hash>[A-Za-z0-9+/]{86}==)"
)


class DjangoScrypt(Format):
    """`scrypt$N$salt$r$p$base64`."""

    name = "django_scrypt"
    prefixes = ("scrypt$",)
    kinds = False
    # Of version 5.2.
    today = "scrypt$16384$0123456789abcdefABCDEF$8$5$" + 86 * "0" + "=="

    def parse(self, hashed: str) -> Parsed | None:
        """Take *hashed* apart."""
        fields = _FIELDS.fullmatch(hashed)
        costs = fields and parse_scrypt(*(int(fields[name]) for name in "nrp"))
        digest = fields and decode_base64(fields["hash"])
        if not fields or not costs or not digest:
            return None
        salt = fields["salt"].encode(errors="surrogatepass")
        compute = functools.partial(scrypt, salt=salt, costs=costs, size=64)
        return Computed("scrypt", costs, digest, compute, blank(hashed, 88))

    def parse_config(self, config: str) -> Parsed | None:
        """Take apart what `Parsed.config` was."""
        return self.parse(config.partition(".")[2] + 86 * "0" + "==")
