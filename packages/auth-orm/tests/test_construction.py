"""What a model may be given as, and how a mistake is told."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import databases
import orm
import pytest

import starlette_auth_orm
from starlette_auth_core.tokens import Tokens
from starlette_auth_orm import ModelBasicAuth, ModelTokenStore, token_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Hasher, Log, Server, Store

models = orm.ModelRegistry(database=databases.Database("sqlite:////nowhere/at.all"))


class User(orm.Model):
    registry = models
    fields = {
        "id": orm.Integer(primary_key=True),
        "username": orm.String(max_length=100, index=True),
        "password": orm.Text(),
        "level": orm.Integer(),
    }


class Token(orm.Model):
    registry = models
    fields = token_fields(User)


class Abstract(orm.Model):
    fields = User.fields


class Keyless(orm.Model):
    registry = orm.ModelRegistry(database=models.database)
    fields = {"username": orm.Text(), "password": orm.Text()}


class Factory:
    def __init__(self, model: Any) -> None:
        self.model = model
        self.calls = 0

    def __call__(self) -> Any:
        self.calls += 1
        return self.model


async def coroutine_function() -> Any:
    return User


def basic(model: Any, **options: Any) -> ModelBasicAuth[Any]:
    # Nothing is hashed here.
    class NoHasher:
        async def verify(self, secret: str, hashed: str | None, /) -> bool:
            raise NotImplementedError

        async def verify_and_update(
            self, secret: str, hashed: str | None, /
        ) -> tuple[bool, str | None]:
            raise NotImplementedError

        async def dummy_verify(self, secret: str, username: str, /) -> None:
            raise NotImplementedError

    options.setdefault("hasher", NoHasher())
    return ModelBasicAuth(model, **options)


def token(model: Any, **options: Any) -> ModelTokenStore:
    return ModelTokenStore(model, **options)


NO_MODELS = [object(), None, "User", 1, dict, orm.Model, Abstract, Keyless, coroutine_function]


@pytest.mark.parametrize("make", [basic, token])
@pytest.mark.parametrize("model", NO_MODELS)
def test_something_else_is_refused_at_construction(
    make: Callable[[Any], Any], model: object
) -> None:
    with pytest.raises(TypeError, match=r"^model must be a subclass of orm\.Model with"):
        make(model)


@pytest.mark.anyio
@pytest.mark.parametrize("model", NO_MODELS)
async def test_function_that_returns_something_else_is_refused_on_use(model: object) -> None:
    with pytest.raises(TypeError, match=r"^model must return a subclass of orm\.Model with"):
        await basic(lambda: model).verify("alice", "pwd")
    with pytest.raises(TypeError, match=r"^model must return a subclass of orm\.Model with"):
        await token(lambda: model).find("digest")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: lambda: model,
        lambda model: functools.partial(lambda given: given, model),
        Factory,
        lambda model: Factory(model).__call__,
    ],
    ids=["lambda", "partial", "object", "method"],
)
async def test_anything_callable_may_return_the_model(
    store: Store, hasher: Hasher, wrap: Callable[[Any], Any]
) -> None:
    alice = await store.add("alice", hasher.make("pwd"))
    tokens = Tokens(ModelTokenStore(wrap(store.Token)), prefix="shop")

    assert await ModelBasicAuth(wrap(store.User), hasher=hasher).verify("alice", "pwd") == alice
    found: Any = await tokens.find((await tokens.issue(alice))[0])
    assert found.user == alice


@pytest.mark.anyio
async def test_callable_is_called_at_each_use(store: Store, hasher: Hasher) -> None:
    await store.add("alice", hasher.make("pwd"))
    factory = Factory(store.User)
    backend: Any = ModelBasicAuth(factory, hasher=hasher)
    assert factory.calls == 0

    for calls in (1, 2):
        assert await backend.verify("alice", "pwd") is not None
        assert factory.calls == calls

    factory.model = User
    with pytest.raises(Exception, match="unavailable"):  # Its database is nowhere.
        await backend.verify("alice", "pwd")


MISSING = [
    (
        {"username_field": "email"},
        "username_field: User has no field 'email', it has 'id', 'username', 'password', 'level'",
    ),
    (
        {"password_field": "hash"},
        "password_field: User has no field 'hash', it has 'id', 'username', 'password', 'level'",
    ),
    (
        {"active_field": "active"},
        "active_field: User has no field 'active', it has 'id', 'username', 'password', 'level'",
    ),
    (
        {"username_field": "level"},
        "username_field: the field 'level' of User must be of the type String or Text",
    ),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("options", "message"), MISSING)
async def test_field_that_the_user_lacks(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        basic(User, **options)

    backend = basic(lambda: User, **options)
    with pytest.raises(ValueError, match=f"^{message}$"):
        await backend.verify("alice", "pwd")


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["digest", "user", "scopes", "created_at", "expires_at"])
async def test_field_that_the_token_lacks(name: str) -> None:
    class Incomplete(orm.Model):
        registry = orm.ModelRegistry(database=models.database)
        fields = {key: value for key, value in token_fields(User).items() if key != name}

    message = f"^token_fields: Incomplete has no field '{name}', it has 'id', "
    with pytest.raises(ValueError, match=message):
        token(Incomplete)
    with pytest.raises(ValueError, match=message):
        await token(lambda: Incomplete).find("digest")


@pytest.mark.parametrize(
    ("name", "field", "kind"),
    [
        ("digest", orm.Integer(), "String"),
        ("user", orm.Integer(), "ForeignKey"),
        ("expires_at", orm.DateTime(), "UTCDateTime"),
        ("last_used_at", orm.DateTime(), "UTCDateTime"),
    ],
)
def test_field_of_the_token_is_another_one(name: str, field: Any, kind: str) -> None:
    class Strange(orm.Model):
        registry = orm.ModelRegistry(database=models.database)
        fields = {**token_fields(User), name: field}

    message = f"^token_fields: the field '{name}' of Strange must be of the type {kind}$"
    with pytest.raises(ValueError, match=message):
        token(Strange)


def test_model_may_be_without_last_use() -> None:
    class Plain(orm.Model):
        registry = orm.ModelRegistry(database=models.database)
        fields = {k: v for k, v in token_fields(User).items() if k != "last_used_at"}

    assert token(Token).records_use is True
    assert token(Plain).records_use is False
    # It may not be there yet.
    assert token(lambda: Plain).records_use is None


def test_active_field_is_one_of_the_user() -> None:
    with pytest.raises(ValueError, match=r"^active_field: User has no field 'active', it has"):
        token(Token, active_field="active")


@pytest.mark.anyio
async def test_user_model_may_be_defined_later_than_the_tokens() -> None:
    later = orm.ModelRegistry(database=models.database)

    class Early(orm.Model):
        registry = later
        fields = token_fields("Late")

    backend = token(Early, active_field="active")
    with pytest.raises(KeyError, match="Late"):
        await backend.delete_all(None)

    class Late(orm.Model):
        registry = later
        fields = User.fields

    with pytest.raises(ValueError, match=r"^active_field: Late has no field 'active', it has"):
        await backend.delete_all(None)
    with pytest.raises(ValueError, match=r"^active_field: Late has no field 'active', it has"):
        token(Early, active_field="active")


@pytest.mark.parametrize("hasher", [None, object(), "hasher"])
def test_hasher_that_is_none(hasher: object) -> None:
    with pytest.raises(TypeError, match=r"^hasher must be an object with verify, "):
        basic(User, hasher=hasher)


@pytest.mark.anyio
async def test_tables_with_an_index_can_be_created_after_construction(
    sqlite: Server, hasher: Hasher, log: Log
) -> None:
    # orm's `create_all` fails on an index where something has touched `Model.table` before.
    database = sqlite.open()
    registry_ = orm.ModelRegistry(database=database)

    class Indexed(orm.Model):
        registry = registry_
        fields = User.fields

    class IndexedToken(orm.Model):
        registry = registry_
        fields = token_fields(Indexed)

    backend: Any = ModelBasicAuth(Indexed, hasher=hasher)
    tokens = Tokens(ModelTokenStore(IndexedToken), prefix="shop")
    await registry_.create_all()

    async with database:
        user = await Indexed.objects.create(
            username="alice", password=hasher.make("pwd", "old"), level=1
        )
        assert await backend.verify("alice", "pwd") is not None
        assert await tokens.find((await tokens.issue(user))[0]) is not None


def test_names_are_sorted_and_documented() -> None:
    names = starlette_auth_orm.__all__

    assert names == sorted(names)
    assert all(getattr(starlette_auth_orm, name).__doc__ for name in names)
