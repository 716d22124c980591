"""Completes the documentation of an app with facts that FastAPI does not put into it."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeAlias

from ._responses import described

__all__ = ["with_answers", "with_scopes"]

_Document: TypeAlias = dict[str, Any]
_Generate: TypeAlias = Callable[[], _Document]

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def with_scopes(generate: _Generate) -> _Generate:
    """Return `app.openapi` with each asked scope in the password flow, in place of *generate*."""
    return lambda: _complete(generate(), answers=False)


def with_answers(generate: _Generate) -> _Generate:
    """Return the same with the answers 401, 403, 429 and 503 of the operations, too."""
    return lambda: _complete(generate(), answers=True)


def _complete(document: _Document, *, answers: bool) -> _Document:
    # It may be the same document each time, since FastAPI keeps it.
    # An app's own may leave out what FastAPI always writes.
    schemes = document.get("components", {}).get("securitySchemes", {})
    for path in document.get("paths", {}).values():
        for method in _METHODS:
            operation = path.get(method, {})
            for requirement in operation.get("security", ()):
                if answers:
                    responses = operation.setdefault("responses", {})
                    _document_answers(responses, any(requirement.values()))
                for name, scopes in requirement.items():
                    _document_scopes(schemes.get(name, {}), scopes)
    return document


def _document_answers(responses: dict[str, Any], asks_for_scopes: bool) -> None:
    statuses = [401, 429, 503]
    if asks_for_scopes:
        statuses.insert(1, 403)
    for status in statuses:
        # As FastAPI does it for its own 422.
        if not {str(status), f"{status // 100}XX", "default"}.intersection(responses):
            responses[str(status)] = described(HTTPStatus(status).phrase)


def _document_scopes(scheme: dict[str, Any], scopes: list[str]) -> None:
    flow = scheme.get("flows", {}).get("password")
    if flow is not None:
        for scope in scopes:
            flow.setdefault("scopes", {}).setdefault(scope, "")
