"""FastAPI's `HTTPBasic`, `HTTPBearer` and `OAuth2PasswordBearer`, used as in its documentation."""

import secrets
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import (
    HTTPAuthorizationCredentials,
    HTTPBasic,
    HTTPBasicCredentials,
    HTTPBearer,
    OAuth2PasswordBearer,
)
from headers_cases import TOKENS, USERS
from serving import serve_asgi

app = FastAPI()


def user_of(token: str) -> str:
    user = TOKENS.get(token)
    if user is None:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    return user


@app.get("/basic")
def basic(credentials: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())]) -> str:
    password = USERS.get(credentials.username)
    if password is None or not secrets.compare_digest(
        credentials.password.encode(), password.encode()
    ):
        raise HTTPException(401, headers={"WWW-Authenticate": "Basic"})
    return credentials.username


@app.get("/bearer")
def bearer(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    return user_of(credentials.credentials)


@app.get("/oauth2")
def oauth2(token: Annotated[str, Depends(OAuth2PasswordBearer("token"))]) -> str:
    return user_of(token)


if __name__ == "__main__":
    serve_asgi(app)
