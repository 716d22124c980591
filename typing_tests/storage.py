"""What users of encode/orm write. It has no types of its own, so pyright can't be strict here."""

# pyright: standard

from collections.abc import Callable
from datetime import timedelta
from typing import assert_type

import databases
import orm

from starlette_auth_core import TokenAuth
from starlette_auth_core.tokens import Tokens
from starlette_auth_hashers import Argon2Hasher
from starlette_auth_orm import ModelBasicAuth, ModelTokenStore, token_fields

models = orm.ModelRegistry(database=databases.Database("sqlite:///users.db"))


class User(orm.Model):
    registry = models
    fields = {"id": orm.Integer(primary_key=True), "password": orm.Text()}


class Token(orm.Model):
    registry = models
    fields = {"id": orm.Integer(primary_key=True), **token_fields(User)}


async def users_are_the_models() -> None:
    auth = ModelBasicAuth(User, hasher=Argon2Hasher())
    assert_type(await auth.verify("alice", "secret"), User | None)

    find: Callable[[], type[User]] = lambda: User  # noqa: E731 - as people write it
    late = ModelBasicAuth(find, hasher=Argon2Hasher(), active_field="active")
    assert_type(await late.verify("alice", "secret"), User | None)

    ModelBasicAuth(User)  # type: ignore[call-arg]
    ModelBasicAuth("User", hasher=Argon2Hasher())  # type: ignore[arg-type]


async def tokens_are_issued() -> None:
    store = ModelTokenStore(Token, active_field="active")
    tokens = Tokens(store, prefix="acme")
    user = await User.objects.get(id=1)
    text, row = await tokens.issue(user, scopes=["read"], expires_in=timedelta(days=1))
    assert_type(text, str)
    assert_type(await tokens.revoke(row), bool)
    assert_type(await tokens.revoke_all(user, keep=row), int)

    auth: TokenAuth[User] = TokenAuth(tokens)
    assert_type(await auth.verify(text), User | None)

    TokenAuth(store)  # type: ignore[arg-type]
    ModelTokenStore("Token")  # type: ignore[arg-type]
