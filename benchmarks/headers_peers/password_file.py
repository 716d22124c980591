"""The users in a file as `htpasswd -s` writes it, which nginx and Apache both read."""

import base64
import hashlib
from pathlib import Path

from headers_cases import USERS


def write(folder: Path) -> Path:
    path = folder / "htpasswd"
    path.write_bytes(
        b"".join(
            name.encode() + b":{SHA}" + base64.b64encode(_sha1(password)) + b"\n"
            for name, password in USERS.items()
        )
    )
    path.chmod(0o644)
    return path


def _sha1(password: str) -> bytes:
    # Both servers read this format, and the benchmark compares headers, not hashes.
    return hashlib.sha1(password.encode(), usedforsecurity=False).digest()
