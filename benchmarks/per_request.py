"""What authentication adds to a request with valid credentials, next to what else one would use.

The requests are direct ASGI calls, into a whole app with one route and, "bare", into an app that
only answers: no network and no event loop.
The contestants of one table run in one process, in turns. So ours run in the environment of the
peer too, on the same Starlette.
"""

import base64
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

from measure import (
    Result,
    Spread,
    Steps,
    Table,
    drive,
    hand_over,
    in_turns,
    options,
    processor_time,
)
from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    BaseUser,
)
from starlette.middleware import Middleware
from starlette.middleware.authentication import (
    AuthenticationMiddleware as StarletteAuthenticationMiddleware,
)
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starlette_auth_core import (
    AuthenticationMiddleware,
    BaseBasicAuth,
    BaseBearerAuth,
    BaseTokenAuth,
)

TOKEN = "shop_5GzK1WmUO3sRjkYbqvXnTnBrMZ9cLhPwFyVdQa7HtEoJi8xN2S0uC"
USERNAME, PASSWORD = "alice", "correct horse battery staple"
KEY = b"k" * 32

BARE = "Bare, around an app that only answers"

# The most that a request may cost, in those of a hand-written backend.
MOST, MOST_BARE = 1.05, 1.2


class User(BaseUser):
    id = 1
    email = "alice@example.com"
    is_active = True
    is_superuser = False
    is_verified = True
    hashed_password = "$argon2id$v=19$m=65536,t=3,p=4$a2V5cGFydHNhbHQ$" + "x" * 43

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def display_name(self) -> str:
        return USERNAME


ALICE = User()
TOKENS = {TOKEN: ALICE}
USERS = {USERNAME: ALICE}


def mac(password: str, hashed: str) -> bytes:
    return hashlib.blake2b(f"{hashed}:{password}".encode(), key=KEY).digest()


# What was right is forgotten after an hour, and once the stored hash is another.
REMEMBERED = {mac(PASSWORD, ALICE.hashed_password): time.monotonic() + 3600}


def remembers(username: str, password: str) -> bool:
    """Do what a cache of one's own would."""
    user = USERS.get(username)
    return (
        user is not None
        and REMEMBERED.get(mac(password, user.hashed_password), 0) > time.monotonic()
    )


class HandWritten(AuthenticationBackend):
    """What one writes after reading Starlette's page. It checks nothing."""

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        header = conn.headers.get("Authorization")
        if header is None:
            return None
        scheme, credentials = header.split()
        if scheme.lower() != self.scheme:
            return None
        user = self.basic(credentials) if scheme == "Basic" else TOKENS.get(credentials)
        if user is None:
            raise AuthenticationError("Invalid credentials")
        return AuthCredentials(["authenticated"]), user

    def basic(self, credentials: str) -> BaseUser | None:
        username, _, password = base64.b64decode(credentials).decode().partition(":")
        return USERS.get(username) if remembers(username, password) else None


class Token(BaseTokenAuth[BaseUser]):
    async def verify(self, token: str) -> BaseUser | None:
        return TOKENS.get(token)


class Bearer(BaseBearerAuth[BaseUser]):
    async def verify(self, token: str) -> BaseUser | None:
        return TOKENS.get(token)


class RememberingBasic(BaseBasicAuth[BaseUser]):
    """The same cache as the others have."""

    async def verify(self, username: str, password: str) -> BaseUser | None:
        return USERS.get(username) if remembers(username, password) else None


def cached_basic() -> AuthenticationBackend:
    """Return a backend that does it as our documentation says."""
    from starlette_auth_hashers import (  # noqa: PLC0415 - not in all environments
        Argon2Hasher,
        CachingHasher,
    )

    class CachedBasic(BaseBasicAuth[BaseUser]):
        hasher = CachingHasher(Argon2Hasher(), ttl=3600, max_entries=100)
        hashed = hasher.make_sync(PASSWORD)
        hasher.verify_sync(PASSWORD, hashed)

        async def find_user(self, username: str) -> BaseUser | None:
            return USERS.get(username)

        def get_password_hash(self, user: BaseUser) -> str | None:
            return self.hashed

    return CachedBasic()


async def hello(request: Request) -> Response:
    return JSONResponse({"message": f"Hello, {request.path_params['name']}!"})


def app_with(*middleware: Middleware) -> ASGIApp:
    return Starlette(routes=[Route("/hello/{name}", hello)], middleware=list(middleware))


def bare_with(*middleware: Middleware) -> ASGIApp:
    """Return an app that only answers, so that next to all is the middleware's own."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"Hello, alice!"})

    wrapped: ASGIApp = app
    for cls, args, kwargs in middleware:
        wrapped = cls(wrapped, *args, **kwargs)
    return wrapped


def ours(backend: AuthenticationBackend) -> Middleware:
    return Middleware(AuthenticationMiddleware, backend=backend)


def by_hand(scheme: str) -> Middleware:
    return Middleware(StarletteAuthenticationMiddleware, backend=HandWritten(scheme))


def authorization(kind: str) -> str:
    if kind == "Basic":
        return f"Basic {base64.b64encode(f'{USERNAME}:{PASSWORD}'.encode()).decode()}"
    return f"{kind} {TOKEN}"


def requests_to(app: ASGIApp, header: str) -> Callable[[], None]:
    """Return what makes a request that waits for nothing."""
    request = asgi_calls(app, header)

    def run() -> None:
        drive(request())

    run()
    return run


def asgi_calls(
    app: ASGIApp, header: str, name: bytes = b"authorization"
) -> Callable[[], Awaitable[None]]:
    """Return what makes a request as a server makes it of a browser's."""
    headers = [
        (b"host", b"api.example.com"),
        (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101"),
        (b"accept", b"application/json"),
        (name, header.encode()),
        (b"accept-language", b"en-GB,en;q=0.5"),
        (b"accept-encoding", b"gzip, deflate, br"),
        (b"connection", b"keep-alive"),
    ]

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        assert message.get("status", 200) == 200, message

    def request() -> Awaitable[None]:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "https",
            "path": "/hello/alice",
            "raw_path": b"/hello/alice",
            "query_string": b"",
            "root_path": "",
            "client": ("203.0.113.7", 50000),
            "server": ("203.0.113.1", 443),
            "headers": list(headers),
        }
        return app(scope, receive, send)

    return request


def fastapi_app(dependency: Any = None, *middleware: Middleware) -> ASGIApp:
    from fastapi import Depends, FastAPI  # noqa: PLC0415 - not in all environments

    app = FastAPI(middleware=list(middleware))

    if dependency is None:

        @app.get("/hello/{name}")
        async def hello(name: str) -> Response:
            return JSONResponse({"message": f"Hello, {name}!"})

    else:

        @app.get("/hello/{name}")
        async def hello_user(name: str, user: Annotated[Any, Depends(dependency)]) -> Response:
            return JSONResponse({"message": f"Hello, {name}!"})

    return app


def http_bearer() -> Any:
    from fastapi import Depends, HTTPException  # noqa: PLC0415 - not in all environments
    from fastapi.security import (  # noqa: PLC0415 - not in all environments
        HTTPAuthorizationCredentials,
        HTTPBearer,
    )

    async def user(
        credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())],
    ) -> BaseUser:
        found = TOKENS.get(credentials.credentials)
        if found is None:
            raise HTTPException(401)
        return found

    return user


def http_basic() -> Any:
    from fastapi import Depends, HTTPException  # noqa: PLC0415 - not in all environments
    from fastapi.security import (  # noqa: PLC0415 - not in all environments
        HTTPBasic,
        HTTPBasicCredentials,
    )

    async def user(
        credentials: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())],
    ) -> BaseUser:
        if not remembers(credentials.username, credentials.password):
            raise HTTPException(401)
        return USERS[credentials.username]

    return user


def fastapi_users(strategy: str) -> tuple[Any, str]:
    """Return the dependency of its documentation, with users in memory, and a token for it."""
    from fastapi_users import (  # noqa: PLC0415 - not in all environments
        BaseUserManager,
        FastAPIUsers,
        IntegerIDMixin,
    )
    from fastapi_users.authentication import (  # noqa: PLC0415 - not in all environments
        AuthenticationBackend as Backend,
    )
    from fastapi_users.authentication import (  # noqa: PLC0415 - not in all environments
        BearerTransport,
        JWTStrategy,
    )
    from fastapi_users.authentication.strategy.db import (  # noqa: PLC0415 - not in all environments
        DatabaseStrategy,
    )
    from fastapi_users.db import BaseUserDatabase  # noqa: PLC0415 - not in all environments

    class Users(BaseUserDatabase[Any, int]):
        async def get(self, id: int) -> Any:  # noqa: A002 - its name there
            return ALICE if id == ALICE.id else None

    class AccessToken:
        user_id = ALICE.id

    class Tokens:
        async def get_by_token(self, token: str, max_age: Any = None) -> Any:
            return AccessToken if token in TOKENS else None

    class Manager(IntegerIDMixin, BaseUserManager[Any, int]):
        pass

    async def manager() -> Any:
        return Manager(Users())

    signed: Any = JWTStrategy("s" * 32, lifetime_seconds=3600)
    tokens: Any = Tokens()
    stored: Any = DatabaseStrategy(tokens, lifetime_seconds=3600)

    # Its documentation has a plain function, which FastAPI runs in a thread for each request.
    async def get_strategy() -> Any:
        return signed if strategy == "JWT" else stored

    backend: Any = Backend(
        name=strategy, transport=BearerTransport(tokenUrl="login"), get_strategy=get_strategy
    )
    token = drive(signed.write_token(ALICE)) if strategy == "JWT" else TOKEN
    user = FastAPIUsers[Any, int](manager, [backend]).current_user(active=True)
    return user, f"Bearer {token}"


def groups() -> dict[str, dict[str, dict[str, Callable[[], None]]]]:
    """Return the contestants: of which table, with which credentials, and how they are called."""
    in_starlette, bare = (
        {
            kind: {
                "ours": requests_to(app(ours(backend)), authorization(kind)),
                "hand-written": requests_to(app(by_hand(kind.lower())), authorization(kind)),
                "no authentication": requests_to(app(), authorization(kind)),
            }
            for kind, backend in (
                ("Token", Token()),
                ("Bearer", Bearer()),
                ("Basic", cached_basic()),
            )
        }
        for app in (app_with, bare_with)
    )
    in_fastapi: dict[str, dict[str, Callable[[], None]]] = {
        "Bearer": {
            "ours": requests_to(fastapi_app(None, ours(Bearer())), authorization("Bearer")),
            "FastAPI's HTTPBearer": requests_to(
                fastapi_app(http_bearer()), authorization("Bearer")
            ),
        },
        "Basic": {
            "ours": requests_to(fastapi_app(None, ours(cached_basic())), authorization("Basic")),
            "FastAPI's HTTPBasic": requests_to(fastapi_app(http_basic()), authorization("Basic")),
        },
    }
    for strategy in ("JWT", "database"):
        dependency, header = fastapi_users(strategy)
        in_fastapi["Bearer"][f"fastapi-users, {strategy}"] = requests_to(
            fastapi_app(dependency), header
        )
    return {"In a Starlette app": in_starlette, BARE: bare, "In a FastAPI app": in_fastapi}


def groups_of_release() -> dict[str, dict[str, dict[str, Callable[[], None]]]]:
    from starlette_auth_toolkit.base import backends  # noqa: PLC0415 - not in all environments

    class OldToken(backends.BaseTokenAuth):
        async def verify(self, token: str) -> BaseUser | None:
            return TOKENS.get(token)

    class OldBasic(backends.BaseBasicAuth):
        async def verify(self, username: str, password: str) -> BaseUser | None:
            return USERS.get(username) if remembers(username, password) else None

    def old(backend: Any) -> Middleware:
        return Middleware(StarletteAuthenticationMiddleware, backend=backend)

    return {
        "In a Starlette app of its time, next to release 0.5.0": {
            kind: {
                "ours": requests_to(app_with(ours(backend)), authorization(kind)),
                "release 0.5.0": requests_to(app_with(old(other)), authorization(kind)),
                "hand-written": requests_to(app_with(by_hand(kind.lower())), authorization(kind)),
            }
            for kind, backend, other in (
                ("Token", Token(), OldToken()),
                ("Basic", RememberingBasic(), OldBasic()),
            )
        }
    }


def main() -> None:
    arguments = options(__doc__, "environment")
    rounds, calls = (60, 500) if arguments.full else (10, 200)
    of_release = arguments.environment == "release"
    found = groups_of_release() if of_release else groups()
    result = Result()
    if of_release:
        # With those that it needs of its time.
        result.used("starlette", "starlette-auth-toolkit", "bcrypt", "databases", "passlib")
    else:
        result.used("starlette", "starlette-auth-core", "fastapi", "fastapi-users")
    steps = Steps(rounds * sum(map(len, found.values())))
    # The ratios to a hand-written backend, bare and in a whole app, and to anything else.
    ratios: dict[str, list[tuple[float, str]]] = {}
    for title, kinds in found.items():
        table = Table(
            f"{title} (Starlette {result.versions['starlette']})",
            ["Credentials", "Contestant", "A request", "Requests a second", "Ours / theirs"],
            note=f"Processor time, {rounds} rounds of {calls} requests: medians, and quartiles.",
        )
        result.tables.append(table)
        for kind, contestants in kinds.items():
            samples: Mapping[str, Callable[[], float]] = {
                name: processor_time(run, calls) for name, run in contestants.items()
            }
            figures = in_turns(samples, rounds, steps, f"{title}: {kind}")
            for name, values in figures.items():
                seconds = Spread.of(values).median
                ratio = Spread.of_ratios(figures["ours"], values)
                table.rows.append(
                    [
                        "Basic, cached" if kind == "Basic" else kind,
                        name,
                        f"{seconds * 1e6:.1f} µs",
                        f"{1 / seconds:,.0f}",
                        "" if name == "ours" else ratio.text("{:.3f}"),
                    ]
                )
                if name not in ("ours", "no authentication"):
                    theirs = name if name == "hand-written" else "others"
                    if title == BARE:
                        theirs += ", bare"
                    said = f"{ratio.median:.2f} ({kind}, {name})"
                    ratios.setdefault(theirs, []).append((ratio.median, said))
            result.picture.setdefault("requests", []).extend(
                [title, kind, name, Spread.of(values).median * 1e6]
                for name, values in figures.items()
            )
    where = " (on its Starlette)" if of_release else ""
    why_not = (
        "The hand-written one takes what the RFCs forbid: two headers, any size, lenient base64, "
        "control characters. It does not look at the response, where a 401 gets its challenge. "
        "Basic is decoded, encoded again and compared, is watched in case its client leaves, and "
        "goes through the steps that can be overridden: find, verify, upgrade."
    )
    aims = {"hand-written": (MOST, f"the hand-written backend in a whole app{where}")}
    if not of_release:
        aims["hand-written, bare"] = (MOST_BARE, "the hand-written backend, bare")
    for theirs, (most, text) in aims.items():
        result.aim(
            f"at most {most} times {text}",
            ", ".join(said for _, said in ratios[theirs]),
            met=max(ratios[theirs])[0] <= most,
            why_not=why_not,
        )
    result.aim(
        f"faster than {'release 0.5.0' if of_release else 'FastAPI and fastapi-users'}",
        ", ".join(said for _, said in ratios["others"]),
        met=max(ratios["others"])[0] < 1,
        why_not="That one checks less: it takes what RFC 7617 and RFC 9110 forbid.",
    )
    hand_over(result)


if __name__ == "__main__":
    main()
