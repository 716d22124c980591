from starlette_auth_hashers import Argon2Hasher, BaseHasher, MultiHasher, PBKDF2Hasher

old, new = PBKDF2Hasher(), Argon2Hasher()

before = old
step_1 = MultiHasher([old, new])  # reads both, writes the old format
step_2 = MultiHasher([new, old])  # reads both, writes the new one

database = {"alice": old.make_sync("correct horse")}


def log_in(step: str, hasher: BaseHasher) -> None:
    valid, new_hash = hasher.verify_and_update_sync("correct horse", database["alice"])
    if new_hash is not None:
        database["alice"] = new_hash
    algorithm = database["alice"].split("$")[1]
    print(f"{step}: {'let in' if valid else 'REFUSED'}, stored: {algorithm}")


# One server after the other gets step 1, and only when all have it the first one gets step 2.
log_in("before", before)
log_in("step 1", step_1)
log_in("step 2", step_2)
log_in("step 1 on a server that is not yet at step 2", step_1)
log_in("step 2", step_2)

# In one step, a server that has not been restarted yet can't read what its neighbour has stored.
log_in("before, on a server that was left out", before)
