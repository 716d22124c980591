import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape

from sqlalchemy import ForeignKey, select, update
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from starlette_auth_core import AuthenticationMiddleware, requires
from starlette_auth_hashers import Argon2Hasher
from starlette_auth_sessions import SessionAuth, Sessions
from starlette_auth_sqlalchemy import SQLAlchemyBasicAuth, SQLAlchemyTokenStore, TokenMixin

engine = create_async_engine(os.environ.get("DATABASE_URL", "sqlite+aiosqlite:///users.db"))
maker = async_sessionmaker(engine, expire_on_commit=False)
hasher = Argon2Hasher()


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(unique=True)
    password: Mapped[str]  # a hash of it, never the password
    is_active: Mapped[bool] = mapped_column(default=True)


class Session(TokenMixin, Base):  # a digest of its id, never the id
    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    user: Mapped[User] = relationship()


passwords = SQLAlchemyBasicAuth(User, maker, hasher=hasher, active_field="is_active")
sessions = Sessions(
    SQLAlchemyTokenStore(Session, maker, active_field="is_active"),
    # Over plain http for development only.
    insecure="DEVELOPMENT" in os.environ,
)

LOGIN = """<form method=post action=/login>
<label>Name <input name=username autocomplete=username></label>
<label>Password <input name=password type=password autocomplete=current-password></label>
<button>Log in</button>
</form>"""

ACCOUNT = """<form method=post action=/end-others><button>Log out everywhere else</button></form>
<form method=post action=/logout><button>Log out</button></form>
<form method=post action=/password>
<label>Current <input name=current type=password autocomplete=current-password></label>
<label>New <input name=new type=password autocomplete=new-password></label>
<button>Change password</button>
</form>"""


def page(title: str, body: str, status: int = 200) -> HTMLResponse:
    # The browser keeps no copy, so the back button shows nothing after a logout.
    headers = {"Cache-Control": "no-store"}
    text = f"<!doctype html>\n<title>{title}</title>\n<h1>{title}</h1>\n{body}\n"
    return HTMLResponse(text, status, headers)


async def read_form(request: Request, *names: str) -> list[str]:
    """Return these fields; one that is missing, or is a file, is empty."""
    async with request.form(max_files=0, max_fields=10) as form:
        values = [form.get(name) for name in names]
    return [value if isinstance(value, str) else "" for value in values]


async def login(request: Request) -> Response:
    if request.method != "POST":
        return page("Log in", LOGIN)
    username, password = await read_form(request, "username", "password")
    user = await passwords.verify(username, password)
    if user is None:
        return page("Log in", f"<p>The name or the password is wrong.</p>\n{LOGIN}", 401)
    response = RedirectResponse("/", 303)
    device = request.headers.get("User-Agent", "")[:200]
    await sessions.login(request, response, user, name=device)
    return response


async def logout(request: Request) -> Response:
    response = RedirectResponse("/login", 303)
    await sessions.logout(request, response)
    return response


@requires("authenticated", redirect="login")
async def account(request: Request) -> Response:
    items = []
    for row in await sessions.list(request.user):
        since = f"{row.created_at:%Y-%m-%d %H:%M}"
        this = ", this one" if row.digest == request.auth.token.digest else ""
        items.append(f"<li>{escape(row.name or 'unknown')}, since {since}{this}</li>")
    devices = "\n".join(items)
    return page(f"Hello, {escape(request.user.username)}!", f"<ul>\n{devices}\n</ul>\n{ACCOUNT}")


@requires("authenticated")
async def end_others(request: Request) -> Response:
    await sessions.end_all(request.user, keep=request)
    return RedirectResponse("/", 303)


@requires("authenticated")
async def change_password(request: Request) -> Response:
    current, new = await read_form(request, "current", "new")
    # Somebody who found the browser open does not know the password.
    user = await passwords.verify(request.user.username, current)
    if user is None:
        return page("Not changed", "<p>The current password is wrong.</p>", 403)
    if len(new) < 15:
        return page("Not changed", "<p>Choose a password of 15 characters or more.</p>", 400)
    try:
        hashed = await hasher.make(new)
    except ValueError as error:  # it can't be hashed faithfully; the message names the limit
        return page("Not changed", f"<p>{escape(str(error))}</p>", 400)
    async with maker.begin() as session:
        await session.execute(update(User).where(User.id == user.id).values(password=hashed))
    # All others are logged out: one of them may have used the old password.
    await sessions.end_all(user, keep=request)
    return RedirectResponse("/", 303)


@requires("authenticated")
async def greet(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(f"Hello, {websocket.user.username}!")
    await websocket.close()


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with maker.begin() as session:
        if await session.scalar(select(User.id).where(User.username == "alice")) is None:
            session.add(User(username="alice", password=await hasher.make("alicepwd")))
    yield
    await engine.dispose()


app = Starlette(
    routes=[
        Route("/", account),
        Route("/login", login, methods=["GET", "POST"]),
        Route("/logout", logout, methods=["POST"]),
        Route("/end-others", end_others, methods=["POST"]),
        Route("/password", change_password, methods=["POST"]),
        WebSocketRoute("/greet", greet),
    ],
    middleware=[Middleware(AuthenticationMiddleware, backend=SessionAuth(sessions))],
    lifespan=lifespan,
)
