import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

key = ec.generate_private_key(ec.SECP256R1())
public_key = key.public_key()
Path("public.pem").write_bytes(
    public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
)


def make_token(subject: str, scope: str, lifetime: int) -> str:
    claims = {
        "iss": "https://issuer.example",
        "aud": "https://api.example",
        "sub": subject,
        "scope": scope,
        "exp": int(time.time()) + lifetime,
    }
    return jwt.encode(claims, key, algorithm="ES256", headers={"typ": "at+jwt"})


Path("good.txt").write_text(make_token("7f3a", "orders:read", 3600))
Path("no-scope.txt").write_text(make_token("7f3a", "profile", 3600))
Path("expired.txt").write_text(make_token("7f3a", "orders:read", -3600))
Path("stranger.txt").write_text(make_token("0000", "orders:read", 3600))
