"""The metadata of a protected resource, by which clients find the issuer: RFC 9728."""

from collections.abc import Sequence
from urllib.parse import unquote

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from starlette_auth_core.credentials import is_scope_token

from ._settings import read_names
from ._urls import check_url

__all__ = ["MetadataRoute", "protected_resource"]

_WELL_KNOWN = "/.well-known/oauth-protected-resource"


class MetadataRoute(Route):
    """The route of the metadata.

    Attributes:
        url: The URL of the metadata, for `resource_metadata`.
    """

    url: str


def protected_resource(
    resource: str, *, authorization_servers: Sequence[str], scopes: Sequence[str] = ()
) -> MetadataRoute:
    """Make the route that says which issuers' tokens a resource accepts (RFC 9728 section 3).

    Its path is `/.well-known/oauth-protected-resource` and that of the resource (section 3.1), so
    it belongs into the routes of the outermost app. It is readable from every origin, for clients
    that run in browsers. Give its `url` to the backend as `resource_metadata`.

    Args:
        resource: The URL of the resource, as clients know it: `https`, or `http` on this machine;
            without a query and a fragment. An MCP client compares it with the URL of the server.
        authorization_servers: The issuers, each a URL as in `iss` of their tokens.
        scopes: The scopes that the resource knows.

    Returns:
        The route. Its `url` is the whole URL of the metadata.

    Raises:
        TypeError: If an argument is of the wrong type, such as a string in the place of a list.
        ValueError: If a URL is not such a one, no issuer is given, or a scope is not a scope-token
            (RFC 6749 section 3.3).
    """
    parts = check_url("resource", resource, query=False)
    issuers = read_names("authorization_servers", authorization_servers)
    for issuer in issuers:
        check_url("authorization_servers", issuer, query=False)
    metadata: dict[str, object] = {
        "resource": resource,
        "authorization_servers": list(issuers),
        "bearer_methods_supported": ["header"],
    }
    # An empty string is a mistake, and an empty sequence is not.
    if isinstance(scopes, str) or scopes:
        names = read_names("scopes", scopes)
        for name in names:
            if not is_scope_token(name):
                raise ValueError(f"scopes: {name!r} is not a scope: see RFC 6749 section 3.3")
        metadata["scopes_supported"] = list(names)

    async def show(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": "GET, HEAD, OPTIONS"})
        return JSONResponse(metadata)

    path = parts.path if parts.path != "/" else ""
    decoded = unquote(path)
    if "{" in decoded or "}" in decoded:
        raise ValueError("resource has braces in its path, which Starlette takes for parameters")
    route = MetadataRoute(
        _WELL_KNOWN + decoded,
        show,
        methods=["GET", "OPTIONS"],
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["GET"],
                # mcp-protocol-version, which clients of MCP send, and whatever comes to others'
                # minds: there is nothing to protect.
                allow_headers=["*"],
            )
        ],
    )
    route.url = f"{parts.scheme}://{parts.netloc}{_WELL_KNOWN}{path}"
    return route
