from starlette_auth_hashers import Argon2Hasher


class SmallMachineHasher(Argon2Hasher):
    max_costs = {"memory_cost": 262_144, "time_cost": 8, "parallelism": 8}


hasher = SmallMachineHasher(memory_cost=32_768)

expensive = Argon2Hasher(memory_cost=32_768, time_cost=9).make_sync("correct horse")
print(Argon2Hasher().verify_sync("correct horse", expensive))
print(hasher.verify_sync("correct horse", expensive))
