"""A FastAPI app whose documentation knows how to authenticate: `uvicorn app:app`."""

from typing import Annotated

from backend import User, backend
from fastapi import APIRouter, FastAPI, Request, Security, WebSocket
from security import API_KEY, BASIC, BEARER, TOKEN
from starlette.middleware import Middleware

from starlette_auth_core import AuthenticationMiddleware, requires

AUTHENTICATION = Middleware(AuthenticationMiddleware, backend=backend)

# One of them is enough: they stand in the documentation as alternatives.
ANY = [Security(scheme) for scheme in (BEARER, TOKEN, API_KEY, BASIC)]

# Where an endpoint wants the user, typed.
CurrentUser = Annotated[User, Security(BASIC)]

protected = APIRouter(dependencies=ANY)


@protected.get("/me")
async def me(user: CurrentUser) -> dict[str, str]:
    """Say who asks."""
    return {"username": user.username}


@protected.get("/machines")
@requires("via:token")
async def machines(request: Request) -> list[str]:
    """Say what the credentials allow; those who sent a password may not ask."""
    scopes: list[str] = request.auth.scopes
    return scopes


@protected.websocket("/live")
async def live(websocket: WebSocket, user: CurrentUser) -> None:
    await websocket.accept()
    await websocket.send_json({"username": user.username})
    await websocket.close()


app = FastAPI(title="Demo", middleware=[AUTHENTICATION])
app.include_router(protected)


@app.get("/")
async def home() -> str:
    """Greet everybody."""
    return "welcome"
