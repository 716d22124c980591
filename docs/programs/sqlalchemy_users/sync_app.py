from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, requires
from starlette_auth_hashers import Argon2Hasher
from starlette_auth_sqlalchemy import SQLAlchemyBasicAuth

engine = create_engine("sqlite:///sync.db")
sessions = sessionmaker(engine)
hasher = Argon2Hasher()


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(unique=True)
    password: Mapped[str]  # a hash of it, never the password


Base.metadata.create_all(engine)
with sessions.begin() as session:
    session.add(User(username="alice", password=hasher.make_sync("alicepwd")))


@requires("authenticated")
def protected(request: Request) -> JSONResponse:
    return JSONResponse({"message": f"Hello, {request.user.username}!"})


backend = SQLAlchemyBasicAuth(User, sessions, hasher=hasher)
app = Starlette(
    routes=[Route("/protected", protected)],
    middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
)
