import os

from starlette_auth_hashers import Argon2Hasher, MultiHasher, PepperedHasher

# From a vault, or the environment; here, made up. Each was `secrets.token_bytes(32)` once.
PEPPERS = {
    "2025": bytes.fromhex(os.environ.get("PEPPER_2025", 32 * "25")),
    "2026": bytes.fromhex(os.environ.get("PEPPER_2026", 32 * "26")),
}

argon2 = Argon2Hasher()
hasher = MultiHasher(
    [
        PepperedHasher(argon2, PEPPERS, current="2026"),
        # Hashes without a pepper, from before.
        argon2,
    ]
)

before = argon2.make_sync("correct horse")
last_year = PepperedHasher(argon2, PEPPERS, current="2025").make_sync("correct horse")
for stored in (before, last_year):
    valid, new_hash = hasher.verify_and_update_sync("correct horse", stored)
    assert valid
    assert new_hash is not None
    print(new_hash[:24])
