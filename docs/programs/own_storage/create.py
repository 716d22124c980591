from app import query

from starlette_auth_hashers import PBKDF2Hasher

query("CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, password TEXT)")
old_hash = PBKDF2Hasher(rounds=29_000).make_sync("alicepwd")
query("INSERT INTO users (username, password) VALUES (?, ?)", "alice", old_hash)
