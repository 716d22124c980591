"""What the documentation says of answers and of the body of a login."""

from typing import Any

__all__ = ["LOGIN_BODY", "LOGIN_RESPONSES", "described"]


def described(description: str) -> dict[str, Any]:
    """Return the Response Object of an answer with a `detail`."""
    return _response(description, {"detail": {"type": "string"}}, ["detail"])


def _response(description: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": required}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


#: The Request Body Object of a login, RFC 6749 section 4.3.2.
LOGIN_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "title": "Login",
                "required": ["grant_type", "username", "password"],
                "properties": {
                    "grant_type": {"type": "string", "pattern": "^password$"},
                    "username": {"type": "string"},
                    "password": {"type": "string", "format": "password"},
                    "scope": {"type": "string"},
                },
            }
        }
    },
}

#: The Responses Object of a login, RFC 6749 sections 5.1 and 5.2.
LOGIN_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: _response(
        "An access token",
        {
            "access_token": {"type": "string"},
            "token_type": {"type": "string"},
            "expires_in": {"type": "integer"},
            "scope": {"type": "string"},
        },
        ["access_token", "token_type", "expires_in"],
    ),
    400: _response(
        "The login was refused",
        {"error": {"type": "string"}, "error_description": {"type": "string"}},
        ["error"],
    ),
    429: described("Too Many Requests"),
    503: described("Service Unavailable"),
}
