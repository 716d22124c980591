"""What Flask-Bcrypt stores where `BCRYPT_HANDLE_LONG_PASSWORDS` is set."""

import hashlib

from ._format import Format, Parsed

__all__ = ["FlaskBcrypt"]


class FlaskBcrypt(Format):
    """bcrypt of the SHA-256 of the password, in hexadecimal. Nothing marks it: it is `$2b$…`."""

    name = "flask_bcrypt"
    prefixes = ("$2b$", "$2a$", "$2y$")
    borrows = ("bcrypt",)
    kinds = False
    today = "$2b$12$" + 53 * "."

    def prepare(self, name: str, secret: str) -> str:
        """Return what Flask-Bcrypt makes of a password before bcrypt."""
        return hashlib.sha256(secret.encode()).hexdigest()

    def parse(self, hashed: str) -> Parsed | None:
        """Take *hashed* apart."""
        return self.parse_borrowed("bcrypt", hashed)
