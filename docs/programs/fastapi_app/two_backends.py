from typing import Annotated

from app import BasicAuth, BearerAuth, User
from fastapi import Depends, FastAPI
from fastapi.requests import HTTPConnection

from starlette_auth_core import AuthBackend, authenticate, authorize


class By:
    """A dependency: the user whom this backend finds, or its refusal."""

    def __init__(self, backend: AuthBackend[User]) -> None:
        self.backend = backend

    async def __call__(self, conn: HTTPConnection) -> User:
        await authenticate(conn, self.backend)
        authorize(conn, "authenticated")
        user: User = conn.user
        return user


by_password = By(BasicAuth())
by_token = By(BearerAuth())

app = FastAPI()


@app.get("/account")
async def account(user: Annotated[User, Depends(by_password)]) -> dict[str, str]:
    return {"username": user.username}


@app.get("/orders")
async def orders(user: Annotated[User, Depends(by_token)]) -> list[str]:
    return [f"An order of {user.username}"]
