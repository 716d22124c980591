"""The route of a login, which the rest of the package finds wherever it is included."""

from collections.abc import Iterable
from typing import Any

from fastapi import routing
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Host, Match, Mount
from starlette.types import Scope

__all__ = ["LoginRoute", "is_login", "leads_to_login"]

_MATCHED = "starlette_auth_fastapi.login"


class LoginRoute(APIRoute):
    """The route of a login. It notes in the scope that it matches.

    FastAPI keeps the class of a route where a router is included. Since 0.137 it includes routers
    lazily, and a walk over `app.routes` does not meet the route itself.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return what FastAPI does."""
        match, child_scope = super().matches(scope)
        if match is Match.FULL:
            scope[_MATCHED] = True
        return match, child_scope


def is_login(scope: Scope) -> bool:
    """Return whether a request has been routed to a login."""
    return isinstance(scope.get("route"), LoginRoute)


def leads_to_login(routes: Iterable[BaseRoute], scope: Scope) -> bool:
    """Return whether a request will be routed to a login, before it is routed."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    # The copy keeps marks of this attempt out of the request itself.
    attempt = {key: value for key, value in scope.items() if key != _MATCHED}
    for route in routes:
        match, _ = route.matches(attempt)
        if match is Match.FULL:
            return _MATCHED in attempt or _mounts_login(route, attempt)
    return False


def _mounts_login(route: BaseRoute, attempt: dict[str, Any]) -> bool:
    # The parts of a router that is included lazily; any other route is its own only part.
    parts_of: Any = getattr(routing, "iter_route_contexts", iter)
    part: Any
    for part in parts_of([route]):
        match, child_scope = part.matches(attempt)
        if match is Match.FULL:
            # A part is not a route itself, but knows which one it was made from.
            if isinstance(getattr(part, "original_route", part), (Mount, Host)):
                # Its copy with the prefix of the router; later versions hand on its attributes.
                mount = getattr(part, "starlette_route", None) or part
                return leads_to_login(mount.routes, {**attempt, **child_scope})
            return False
    return False  # pragma: no cover - a part of the router has matched
