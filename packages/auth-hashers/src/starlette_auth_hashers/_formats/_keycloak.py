"""What Keycloak stores, in its two columns `credential_data` and `secret_data`."""

import base64
import functools
import json
import re
from typing import Any

from ._format import Computed, Format, Parsed, blank, decode_base64, parse_rounds, pbkdf2

__all__ = ["Keycloak", "from_keycloak"]

_DIGESTS = {"pbkdf2": "sha1", "pbkdf2-sha256": "sha256", "pbkdf2-sha512": "sha512"}
_VERSIONS = {"1.0": 16, "1.3": 19}
_FIELDS = re.compile(
    r"\$keycloak\$(?P<algorithm>pbkdf2|pbkdf2-sha256|pbkdf2-sha512)\$(?P<rounds>[0-9]{1,10})"
    r"\$(?P<salt>[A-Za-z0-9+/]+)\$(?P<hash>[A-Za-z0-9+/]{11,700})"
)


class Keycloak(Format):
    """`$keycloak$` and what `from_keycloak` makes of the columns."""

    name = "keycloak"
    prefixes = ("$keycloak$",)
    borrows = ("argon2",)
    # Of version 26: Argon2id, 7 MiB, 5 passes.
    today = "$keycloak$argon2id$v=19$m=7168,t=5,p=1$AAAAAAAAAAAAAAAAAAAAAA$" + 43 * "A"

    def parse(self, hashed: str) -> Parsed | None:
        """Take *hashed* apart."""
        if hashed.startswith("$keycloak$argon2"):
            return self.parse_borrowed("argon2", hashed.removeprefix("$keycloak"))
        fields = _FIELDS.fullmatch(hashed)
        if fields is None:
            return None
        rounds = parse_rounds(fields["rounds"])
        salt, expected = decode_base64(fields["salt"]), decode_base64(fields["hash"])
        if rounds is None or not salt or not expected:
            return None
        digest, size = _DIGESTS[fields["algorithm"]], len(expected)
        return Computed(
            f"pbkdf2_{digest}",
            {"rounds": rounds},
            expected,
            functools.partial(_pbkdf2, digest, salt, rounds, size),
            blank(hashed, len(fields["hash"])),
        )


def from_keycloak(credential_data: str, secret_data: str) -> str:
    """Make one stored string of a credential that Keycloak has exported.

    `LegacyHasher("keycloak")` verifies it.

    Args:
        credential_data: The JSON of the column `credential_data`, the `credentialData` of an
            export: the algorithm and its settings.
        secret_data: The JSON of the column `secret_data`, the `secretData` of an export: the salt
            and the hash.

    Returns:
        What to store.

    Raises:
        ValueError: If it is not that, or the algorithm is none that Keycloak itself has.
    """
    try:
        data, secrets = json.loads(credential_data), json.loads(secret_data)
        algorithm, rounds = data["algorithm"], int(data["hashIterations"])
        salt, hashed = (_recode(secrets[name]) for name in ("salt", "value"))
        if algorithm in _DIGESTS:
            stored = f"$keycloak${algorithm}${rounds}${salt}${hashed}"
        else:
            more = {name: _only(value) for name, value in data["additionalParameters"].items()}
            version = _VERSIONS[more.get("version", "1.3")]
            costs = f"m={int(more['memory'])},t={rounds},p={int(more['parallelism'])}"
            kind = {"argon2": f"argon2{more.get('type', 'id')}"}[algorithm]
            stored = f"$keycloak${kind}$v={version}${costs}${salt}${hashed}"
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        stored = ""
    if not stored or Keycloak({}).parse(stored) is None:
        # Without a cause, which may quote the salt or the hash.
        raise ValueError(
            "from_keycloak takes the JSON of credential_data and secret_data of one password, of "
            f"the algorithm argon2 or {', '.join(_DIGESTS)}"
        )
    return stored


def _only(value: Any) -> Any:
    """Return the value of a parameter, which Keycloak writes as a list of one."""
    return value[0] if isinstance(value, list) else value


def _recode(text: str) -> str:
    """Return base64 without its padding, as Argon2's strings have it."""
    return base64.b64encode(base64.b64decode(text, validate=True)).decode().rstrip("=")


def _pbkdf2(digest: str, salt: bytes, rounds: int, size: int, secret: str) -> bytes:
    return pbkdf2(digest, secret, salt, rounds, size)
