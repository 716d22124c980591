"""Flask-HTTPAuth's `HTTPBasicAuth` and `HTTPTokenAuth`, used as its documentation does."""

from flask import Flask
from flask_httpauth import HTTPBasicAuth, HTTPTokenAuth
from headers_cases import TOKENS, USERS
from serving_wsgi import serve_wsgi

app = Flask(__name__)
basic_auth = HTTPBasicAuth()
token_auth = HTTPTokenAuth(scheme="Bearer")


@basic_auth.verify_password  # type: ignore[untyped-decorator]  # it has no types
def verify_password(username: str, password: str) -> str | None:
    return username if username in USERS and USERS[username] == password else None


@token_auth.verify_token  # type: ignore[untyped-decorator]  # it has no types
def verify_token(token: str) -> str | None:
    return TOKENS.get(token)


@app.get("/basic")
@basic_auth.login_required  # type: ignore[untyped-decorator]  # it has no types
def basic() -> str:
    return str(basic_auth.current_user())


@app.get("/bearer")
@token_auth.login_required  # type: ignore[untyped-decorator]  # it has no types
def bearer() -> str:
    return str(token_auth.current_user())


if __name__ == "__main__":
    serve_wsgi(app)
