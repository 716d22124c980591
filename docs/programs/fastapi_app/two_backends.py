from typing import Annotated, Any

from app import Passwords, User, tokens
from fastapi import FastAPI, Security

from starlette_auth_core import APIKeyAuth
from starlette_auth_fastapi import Authenticated

by_password = Authenticated(Passwords())
by_key: Authenticated[User] = Authenticated(APIKeyAuth(tokens))

app = FastAPI()


@app.post("/keys")
async def create_key(user: Annotated[User, Security(by_password)]) -> dict[str, Any]:
    key, row = await tokens.issue(user, name="machine")
    return {"key": key, "created_at": row.created_at}


@app.get("/orders")
async def orders(user: Annotated[User, Security(by_key)]) -> list[str]:
    return [f"An order of {user.username}"]
