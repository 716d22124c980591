"""The names that the RFCs define: tokens of RFC 9110 and scopes of RFC 6749."""

import re

__all__ = ["is_reserved_scope", "is_scope_token", "is_token"]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SCOPE_TOKEN = re.compile(r"[!#-\[\]-~]+")


def is_token(text: object) -> bool:
    """Return whether *text* is a token of RFC 9110 section 5.6.2, as all names in headers are."""
    return isinstance(text, str) and _TOKEN.fullmatch(text) is not None


def is_scope_token(text: object) -> bool:
    """Return whether a text is a scope-token of RFC 6749 section 3.3 (appendix A.4).

    Args:
        text: The text. Anything else than a string is not a scope.

    Returns:
        Whether it is one or more visible ASCII characters, of which none is a double quote or a
        backslash.
    """
    return isinstance(text, str) and _SCOPE_TOKEN.fullmatch(text) is not None


def is_reserved_scope(scope: str) -> bool:
    """Return whether only a backend may grant a scope, since it says how somebody logged in.

    A token that held one could pass for a login by password.

    Args:
        scope: The scope.

    Returns:
        Whether it is `fresh` or begins with `via:`.
    """
    return scope == "fresh" or scope.startswith("via:")
