import hashlib

from starlette_auth_hashers import Argon2Hasher, LegacyHasher, MultiHasher, WrappedHasher

argon2 = Argon2Hasher()
wrapped = WrappedHasher(argon2, LegacyHasher("hex_md5"))

# For each row, today, and without the password.
weak = hashlib.md5(b"correct horse").hexdigest()  # noqa: S324 - that is why
stored = wrapped.wrap_sync(weak)
print(stored[:28])

# In the app.
hasher = MultiHasher([argon2, wrapped])
valid, new_hash = hasher.verify_and_update_sync("correct horse", stored)
assert valid
assert new_hash is not None
print(new_hash[:10])
assert not hasher.verify_sync(weak, stored)
