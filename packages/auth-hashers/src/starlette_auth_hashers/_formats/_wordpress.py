"""What `wp_hash_password` of WordPress has stored: bcrypt since 6.8, phpass before."""

import base64
import hmac

from ._format import Format, Parsed

__all__ = ["WordPress"]

# What PHP's `trim` removes, which WordPress calls where a password is set and at the login.
_TRIMMED = " \t\n\r\0\x0b"


class WordPress(Format):
    """`$wp$2y$…`, bcrypt of an HMAC of the password, and `$P$…`.

    The HMAC is that of `wp_hash_password` in wp-includes/pluggable.php.
    """

    name = "wordpress"
    prefixes = ("$wp$", "$P$")
    borrows = ("bcrypt", "phpass")
    # Of version 6.8, whose cost is that of PHP's `password_hash`.
    today = "$wp$2y$10$" + 53 * "."

    def prepare(self, name: str, secret: str) -> str:
        """Return what WordPress makes of a password, which it trims at first."""
        password = secret.strip(_TRIMMED)
        if name == "phpass":
            return password
        return base64.b64encode(hmac.digest(b"wp-sha384", password.encode(), "sha384")).decode()

    def changes(self, secret: str, parsed: Parsed) -> bool:
        """Return whether WordPress trims *secret*."""
        return secret != secret.strip(_TRIMMED)

    def parse(self, hashed: str) -> Parsed | None:
        """Take *hashed* apart."""
        if hashed.startswith("$wp$2y$"):
            return self.parse_borrowed("bcrypt", hashed.removeprefix("$wp"))
        return self.parse_borrowed("phpass", hashed) if hashed.startswith("$P$") else None
