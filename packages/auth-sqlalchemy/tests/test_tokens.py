"""Tokens: whose they are, and what is stored."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import (
    Boolean,
    Computed,
    DateTime,
    ForeignKey,
    String,
    TypeDecorator,
    UniqueConstraint,
    event,
    inspect,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy_databases import CASES, SQLITE, Token, User, dispose, sync

from starlette_auth_core.tokens import Tokens
from starlette_auth_sqlalchemy import SQLAlchemyTokenStore, TokenMixin

if TYPE_CHECKING:
    from sqlalchemy_databases import Database, Statements

pytestmark = pytest.mark.anyio

everywhere = pytest.mark.parametrize("case", CASES, indirect=True)
NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time


def tokens_of(store: SQLAlchemyTokenStore[Any]) -> tuple[Tokens[Any, Any], Clock]:
    clock = Clock()
    return Tokens(store, prefix="shop", now=clock), clock


class Base(DeclarativeBase):
    pass


class Member(Base):
    """Its tokens have no foreign key, and refer to it by another column than its key."""

    __tablename__ = "members"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(20), unique=True)
    active: Mapped[bool] = mapped_column(Boolean, default=True)


class MemberToken(Base):
    """It has neither `last_used_at` nor `name`."""

    __tablename__ = "member_tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    member: Mapped[str] = mapped_column(String(20))
    user: Mapped[Member | None] = relationship(
        primaryjoin="foreign(MemberToken.member) == Member.number"
    )


class AwareDateTime(TypeDecorator[datetime]):
    """Refuses naive datetimes, as those of apps do."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        assert value.tzinfo is not None
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class RichToken(TokenMixin, Base):
    """It has columns of the app's own, of every kind."""

    __tablename__ = "rich_tokens"
    __table_args__ = (UniqueConstraint("label", "member_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime | None] = mapped_column(AwareDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"))
    user: Mapped[Member] = relationship()
    project: Mapped[str] = mapped_column("project_name", String(50), default="none")
    slug: Mapped[str | None] = mapped_column(String(50), unique=True)
    code: Mapped[str | None] = mapped_column(String(50), index=True)
    label: Mapped[str | None] = mapped_column(String(50))
    upper: Mapped[str] = mapped_column(String(50), Computed("upper(project_name)", persisted=True))
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}


@everywhere
async def test_finding_is_one_query_and_an_update_where_it_is_due(
    database: Database, statements: Statements
) -> None:
    tokens, clock = tokens_of(SQLAlchemyTokenStore(Token, database.sessions))
    token, _ = await tokens.issue(database.user())
    statements.clear()
    for minutes, expected in (
        (0, ["SELECT", "UPDATE"]),
        (1, ["SELECT"]),
        (6, ["SELECT", "UPDATE"]),
    ):
        clock.time = NOON + timedelta(minutes=minutes)
        row: Any = await tokens.find(token)
        assert [statement.split()[0] for statement in statements.seen] == expected
        statements.clear()
        assert row.last_used_at == (clock.time if len(expected) == 2 else NOON)
        for each in (row, row.user):
            assert inspect(each).detached
            assert not inspect(each).modified
    assert await tokens.find("shop_unknown") is None
    assert statements.seen == []


@everywhere
@pytest.mark.parametrize("model", [Token, MemberToken, RichToken])
async def test_times_are_aware_and_in_utc(database: Database, model: Any) -> None:
    zones = {
        "postgresql": "SET SESSION TIME ZONE 'America/Los_Angeles'",
        "mysql": "SET SESSION time_zone = '-08:00'",
        "sqlite": "SELECT 1",
    }

    def travel(connection: Any, record: Any) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute(zones[database.kind])
        connection.commit()

    engine = database.server.engine(database.driver)
    event.listen(sync(engine), "connect", travel)
    sessions = database.make_sessions(engine)
    with database.tables(Base):
        user = database.user() if model is Token else database.add(Member(number="7"))
        tokens, clock = tokens_of(SQLAlchemyTokenStore(model, sessions))
        hour = timedelta(hours=1)
        token, issued = await tokens.issue(user, expires_in=hour)
        found: Any = await tokens.find(token)
        _, rotated = await tokens.rotate(found, overlap=timedelta(minutes=5))
        for row, end in ((issued, hour), (found, hour), (rotated, hour)):
            assert row.created_at == NOON
            assert row.expires_at == NOON + end
            for time in (
                row.created_at,
                row.expires_at,
                getattr(row, "last_used_at", NOON) or NOON,
            ):
                assert time.utcoffset() == timedelta()
        assert {row.expires_at for row in await tokens.list(user)} == {
            NOON + hour,
            NOON + timedelta(minutes=5),
        }
        clock.time = NOON + timedelta(minutes=5)
        assert await tokens.find(token) is None
        clock.time += timedelta(seconds=1)
        assert await tokens.purge() == 1
    await dispose(engine)


class TestUsers:
    """Users who are deleted, inactive, unsaved, or in a session of the app's."""

    async def test_user_in_a_session_of_the_app_is_left_alone(self, database: Database) -> None:
        alice = database.user()
        tokens, _ = tokens_of(SQLAlchemyTokenStore(Token, database.sessions))
        with Session(database.admin) as session:
            attached = session.get_one(User, alice.id)
            attached.email = "not yet"
            session.expire(attached, ["username"])
            _, row = await tokens.issue(attached)
            assert row.user is not attached
            assert inspect(row.user).detached
            assert len(await tokens.list(attached)) == 1
            assert await tokens.revoke_all(attached, keep=row) == 0
            assert "username" not in inspect(attached).dict
            assert list(session.new) == []
            assert list(session.dirty) == [attached]

    @pytest.mark.parametrize("active", [False, None])
    async def test_inactive_user(self, database: Database, active: bool | None) -> None:
        store = SQLAlchemyTokenStore(Token, database.sessions, active_field="active")
        tokens, _ = tokens_of(store)
        alice = database.user()
        token, row = await tokens.issue(alice)
        database.change(alice, active=active)
        assert await tokens.find(token) is None
        with pytest.raises(ValueError, match="may not log in"):
            await tokens.rotate(row, overlap=timedelta())
        # What the object says is not what is stored.
        assert alice.active
        with pytest.raises(ValueError, match="the user has been deleted, or is not active"):
            await tokens.issue(alice)
        database.change(alice, active=True)
        assert [each.digest for each in await tokens.list(alice)] == [row.digest]
        assert row.last_used_at is None

    @everywhere
    async def test_deleted_user_without_foreign_keys(self, database: Database) -> None:
        with database.tables(Base):
            member = database.add(Member(number="7"))
            tokens, _ = tokens_of(SQLAlchemyTokenStore(MemberToken, database.sessions))
            token, row = await tokens.issue(member)
            assert await tokens.find(token) is not None
            database.execute("DELETE FROM members")
            assert await tokens.find(token) is None
            with pytest.raises(ValueError, match="can't be rotated"):
                await tokens.rotate(row, overlap=timedelta())
            with pytest.raises(ValueError, match="the user has been deleted, or is not active"):
                await tokens.issue(member)
            assert await tokens.revoke(row)
            assert not await tokens.revoke(row)

    async def test_deleted_user_by_key(self, database: Database) -> None:
        alice = database.user()
        tokens, _ = tokens_of(SQLAlchemyTokenStore(Token, database.sessions))
        token, _ = await tokens.issue(alice)
        database.execute("DELETE FROM users")
        assert await tokens.find(token) is None
        with pytest.raises(ValueError, match="the user has been deleted"):
            await tokens.issue(alice)
        assert await tokens.revoke_all(alice) == 1

    async def test_unsaved_users_and_other_objects_get_no_token(self, database: Database) -> None:
        tokens, _ = tokens_of(SQLAlchemyTokenStore(Token, database.sessions))
        alice = database.user()
        for user in (User(username="bob"), User(id=alice.id, username="alice")):
            with pytest.raises(ValueError, match="the user is not stored"):
                await tokens.issue(user)
        for other in (Member(number="7"), object(), "alice"):
            with pytest.raises(TypeError, match="user must be a User; got a"):
                await tokens.issue(other)
        assert await tokens.list(alice) == []


@everywhere
async def test_columns_of_the_app(database: Database) -> None:
    with database.tables(Base):
        member = database.add(Member(number="7"))
        store = SQLAlchemyTokenStore(RichToken, database.sessions)
        tokens, _ = tokens_of(store)
        own: Any = {"name": "laptop", "project": "Blue", "slug": "s", "code": "c", "label": "l"}
        _, row = await tokens.issue(member, **own)
        assert {name: getattr(row, name) for name in own} == own
        assert row.upper == "BLUE"
        assert row.version == 1
        assert store.extra(row) == {"name": "laptop", "project": "Blue", "code": "c"}
        _, rotated = await tokens.rotate(row, overlap=timedelta())
        assert (rotated.name, rotated.project, rotated.slug) == ("laptop", "Blue", None)
        _, plain = await tokens.issue(member)
        assert plain.project == "none"

        for name in ("id", "member_id", "upper", "version", "user_id", "nick", "project_name"):
            wrong: Any = {name: "1"}
            with pytest.raises(TypeError, match=f"no column for the app to set: {name}"):
                await tokens.issue(member, **wrong)
        assert len(await tokens.list(member)) == 2


async def test_last_use_is_not_stored_where_there_is_no_column_for_it(database: Database) -> None:
    with database.tables(Base):
        member = database.add(Member(number="7"))
        store = SQLAlchemyTokenStore(MemberToken, database.sessions)
        row = await store.insert(member, digest="d", scopes=None, created_at=NOON, expires_at=None)
        assert not await store.touch(row, NOON, unless_since=NOON)


@pytest.mark.parametrize("case", SQLITE[:2], indirect=True)
async def test_rows_that_share_a_digest_are_refused(database: Database, caplog: Any) -> None:
    class Loose(DeclarativeBase):
        pass

    class Person(Loose):
        __tablename__ = "loose_people"
        id: Mapped[int] = mapped_column(primary_key=True)

    class LooseToken(TokenMixin, Loose):
        __tablename__ = "loose_tokens"
        id: Mapped[int] = mapped_column(primary_key=True)
        digest: Mapped[str] = mapped_column(String(64))
        person_id: Mapped[int] = mapped_column(ForeignKey("loose_people.id"))
        user: Mapped[Person] = relationship()

    with database.tables(Loose):
        person = database.add(Person())
        store = SQLAlchemyTokenStore(LooseToken, database.sessions)
        values: Any = {"digest": "d", "scopes": None, "created_at": NOON, "expires_at": None}
        await store.insert(person, **values)
        with pytest.raises(ValueError, match="deleted, or is not active"):
            await store.insert(person, **values)
        database.add(LooseToken(digest="d", created_at=NOON, person_id=person.id))
        assert await store.find("d") is None
    assert "2 rows of LooseToken share the same digest" in caplog.text
