"""fastapi-users with its bearer transport, and a strategy that knows the tokens of the table."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, Strategy
from headers_cases import TOKENS
from serving import serve_asgi


class User:
    hashed_password = ""
    is_active = True
    is_superuser = False
    is_verified = True

    def __init__(self, name: str) -> None:
        self.id = name
        self.email = name


class UserManager(BaseUserManager[User, str]):
    def parse_id(self, value: Any) -> str:
        return str(value)


class TableStrategy(Strategy[User, str]):
    async def read_token(
        self, token: str | None, user_manager: BaseUserManager[User, str]
    ) -> User | None:
        user = None if token is None else TOKENS.get(token)
        return None if user is None else User(user)

    async def write_token(self, user: User) -> str:
        raise NotImplementedError

    async def destroy_token(self, token: str, user: User) -> None:
        raise NotImplementedError


async def get_user_manager() -> UserManager:
    return UserManager(None)  # type: ignore[arg-type]  # the strategy asks no database


def get_strategy() -> TableStrategy:
    # FastAPI would make parameters out of those of the class.
    return TableStrategy()


backend = AuthenticationBackend(
    name="bearer", transport=BearerTransport("login"), get_strategy=get_strategy
)
fastapi_users = FastAPIUsers[User, str](get_user_manager, [backend])
app = FastAPI()


@app.get("/bearer")
def bearer(user: Annotated[User, Depends(fastapi_users.current_user(active=True))]) -> str:
    return user.id


if __name__ == "__main__":
    serve_asgi(app)
