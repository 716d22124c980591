"""starlette-auth-hashers in a Flask app, whose users have Werkzeug's hashes."""

from flask import Flask, request
from werkzeug.security import generate_password_hash

from starlette_auth_hashers import Argon2Hasher, LegacyHasher, MultiHasher

app = Flask(__name__)
hasher = MultiHasher([Argon2Hasher(), LegacyHasher("werkzeug")])
USERS = {"alice": generate_password_hash("alicepwd")}


@app.post("/login")
def login() -> tuple[str, int]:
    username, password = request.form["username"], request.form["password"]
    if username not in USERS:
        hasher.dummy_verify_sync(password, username)
        return "wrong", 401
    valid, new_hash = hasher.verify_and_update_sync(password, USERS[username])
    if new_hash is not None:
        USERS[username] = new_hash
    return ("welcome", 200) if valid else ("wrong", 401)


client = app.test_client()


def status(username: str, password: str) -> int:
    return client.post("/login", data={"username": username, "password": password}).status_code


assert status("alice", "wrong") == 401
assert USERS["alice"].startswith("scrypt:")
assert status("alice", "alicepwd") == 200
assert USERS["alice"].startswith("$argon2id$")
assert status("alice", "alicepwd") == 200
assert status("eve", "x") == 401
