"""The OpenAPI security schemes of a backend, each with a name that means one scheme everywhere.

A name is made from the scheme alone, so that it is the same in each run, and two schemes of an app
never share one: the Components Object of OpenAPI 3.1 (section 4.8.7) holds them by name.
"""

import hashlib
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi.openapi.models import SecurityScheme
from fastapi.security.base import SecurityBase
from pydantic import TypeAdapter
from starlette.responses import Response

from starlette_auth_core import AuthenticationMiddleware

__all__ = ["Scheme", "check_backend", "schemes_of", "vary_of"]

_ADAPTER: TypeAdapter[Any] = TypeAdapter(SecurityScheme)
_WORD = re.compile(r"[A-Za-z0-9]+")
# A name with a dot ends with a digest, so no name without one has a dot.
_PART = re.compile(r"[A-Za-z0-9_-]+")
_AUTHORIZATION = re.compile(r"Authorization: ([A-Za-z0-9]+) <token>")
#: The path of `login_router`, unless another one is given.
_TOKEN_URL = "/token"


class Scheme(SecurityBase):
    """A dependency that does nothing, and by which FastAPI shows one scheme."""

    def __init__(self, scheme: Mapping[str, Any]) -> None:
        self.scheme_name = _name(scheme)
        self.model = _ADAPTER.validate_python(dict(scheme))

    # Not a plain function, for which FastAPI would start a thread.
    async def __call__(self) -> None:
        pass


def check_backend(setting: str, backend: Any) -> None:
    """Raise a `TypeError` unless *backend* is one, with the message of core for this setting."""
    try:
        # A response is an app too, which is not called here.
        AuthenticationMiddleware(Response(), backend)
    except TypeError as error:
        raise TypeError(str(error).replace("backend", setting, 1)) from None


def schemes_of(backend: object, token_url: str | None) -> tuple[Scheme, ...]:
    """Return the schemes of *backend* and of those that it holds, in order and each once.

    Args:
        backend: The backend. One that shows no scheme of its own may hold others, in `backends` or
            in `backend`.
        token_url: Where a bearer token is to be had for a password. None: it is not shown.

    Raises:
        TypeError: If an `openapi_scheme` is not a mapping.
        ValueError: If it is not a security scheme object that FastAPI knows.
    """
    found: dict[str, Scheme] = {}
    for each in _walk(backend):
        described = _describe(each)
        if described is None:
            continue
        if token_url is not None and _is_bearer(described):
            flow = {"tokenUrl": token_url, "scopes": {}}
            described = {"type": "oauth2", "flows": {"password": flow}}
        if not _is_valid(described):
            raise ValueError(
                f"openapi_scheme of {type(each).__name__} returned a mapping that is not a "
                f"security scheme object of OpenAPI: {dict(described)}"
            )
        scheme = Scheme(described)
        found.setdefault(scheme.scheme_name, scheme)
    return tuple(found.values())


def vary_of(backend: object) -> tuple[str, ...]:
    """Return the header fields that decide who asks, those of held backends too, each once."""
    names: dict[str, str] = {}
    for each in _walk(backend, through=True):
        for name in getattr(each, "vary", ()):
            names.setdefault(name.lower(), name)
    return tuple(names.values())


def _walk(backend: object, *, through: bool = False) -> Iterator[object]:
    # A backend with a scheme of its own answers for those that it holds, unless *through*.
    seen: list[object] = []
    waiting = [backend]
    while waiting:
        each = waiting.pop(0)
        if any(each is other for other in seen):
            continue
        seen.append(each)
        yield each
        if through or _describe(each) is None:
            several: Any = getattr(each, "backends", ())
            inner: Any = getattr(each, "backend", None)
            held = [*several] if isinstance(several, (tuple, list)) else []
            # In front of the others: a MultiAuth within another one keeps its place.
            waiting[:0] = held if inner is None else [*held, inner]


def _describe(backend: object) -> Mapping[str, Any] | None:
    # Starlette's own backends show nothing.
    hook = getattr(backend, "openapi_scheme", None)
    scheme = None if hook is None else hook()
    if inspect.iscoroutine(scheme):
        scheme.close()  # Otherwise Python warns that it was never awaited.
    if scheme is not None and not isinstance(scheme, Mapping):
        raise TypeError(
            f"openapi_scheme of {type(backend).__name__} must return a mapping or None, "
            f"not a {type(scheme).__name__}"
        )
    return scheme


def _is_valid(scheme: Mapping[str, Any]) -> bool:
    try:
        model = _ADAPTER.validate_python(dict(scheme))
        shown = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    except ValueError:
        # Both errors of pydantic are of that class.
        return False
    # FastAPI fills in a missing type as that of a bearer token.
    return bool(shown == scheme)


def _is_bearer(scheme: Mapping[str, Any]) -> bool:
    return scheme.get("type") == "http" and str(scheme.get("scheme")).lower() == "bearer"


def _name(scheme: Mapping[str, Any]) -> str:
    short = _short_name(scheme)
    if short is not None:
        return short
    text = json.dumps(scheme, sort_keys=True, default=dict)
    kind = str(scheme.get("scheme" if scheme.get("type") == "http" else "type"))
    stem = kind.title() if _WORD.fullmatch(kind) else "Scheme"
    return f"{stem}.{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def _short_name(scheme: Mapping[str, Any]) -> str | None:
    # For schemes that are nothing but what the name says.
    match dict(scheme):
        case {"type": "http", "scheme": str(word), **more} if not more and _WORD.fullmatch(word):
            # Names of schemes and of header fields are case-insensitive (RFC 9110 sections 11.1
            # and 5.1).
            return word.title()
        case {"type": "apiKey", "in": "header", "name": str(field), **more} if _PART.fullmatch(
            field
        ):
            if not more:
                return f"Header-{field.title()}"
            described = _AUTHORIZATION.fullmatch(str(more.pop("description", "")))
            if described and not more and field.lower() == "authorization":
                return f"Authorization-{described[1].title()}"
        case {"type": "apiKey", "in": str(place), "name": str(field), **more} if (
            not more and _PART.fullmatch(field)
        ):
            return f"{place.title()}-{field}"
        case {"type": "oauth2", "flows": {"password": {"tokenUrl": str(url), **more}, **others}}:
            if url == _TOKEN_URL and more == {"scopes": {}} and not others and len(scheme) == 2:
                return "OAuth2-Password"
        case _:
            pass
    return None
