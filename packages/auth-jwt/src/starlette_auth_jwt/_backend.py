"""Authentication by a JWT that somebody else's issuer has signed: RFC 6750, RFC 7519, RFC 9068.

The order is that of cost: the form, the header and the claims, a key, the signature, the user. So
a token that is wrong on its face never has keys fetched.
"""

import logging
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from starlette.requests import HTTPConnection

from starlette_auth_core import (
    AuthenticationUnavailable,
    BaseBearerAuth,
    Challenge,
    InvalidCredentials,
    UserT,
)
from starlette_auth_core.credentials import is_reserved_scope, is_scope_token

from ._claims import Rule, TokenRules
from ._pyjwt import verify
from ._settings import (
    Keys,
    check_algorithms,
    check_issuer,
    check_keys,
    check_leeway,
    read_media_types,
    read_names,
)
from ._urls import check_url
from ._users import JWTUser

__all__ = ["BaseJWTAuth", "JWTAuth"]

logger = logging.getLogger("starlette_auth_jwt")

_LEEWAY = timedelta(seconds=30)
_TOKEN_TYPES = ("at+jwt",)


class BaseJWTAuth(BaseBearerAuth[UserT]):
    """Authentication by a bearer JWT: an access token of an issuer, `Authorization: Bearer …`.

    Override `find_user`, and set `keys`, `issuer`, `audience` and `algorithms`. A valid token has a
    signature of one of the keys, this `iss`, one of these `aud`, a `sub`, and an `exp` in the
    future; `nbf` and `iat` are checked where the token has them. A token that is bound to a key of
    the client (`cnf`, RFC 7800) is refused: taken as a bearer token, a stolen one would work.

    Where keys can't be had, the answer is 503 and not 401, so that clients keep their tokens.

    Attributes:
        keys: `JWKS`, or `StaticKeys`. Required.
        issuer: The `iss` of the tokens, to the character. Required.
        audience: Which `aud` is meant for this app: one, or several of which one is enough.
            Required: without it a token for any other app would work here (RFC 8725 section 3.9).
        algorithms: Which `alg` are allowed: HS, RS and PS with 256, 384 and 512, ES256, ES384,
            ES512, EdDSA and Ed25519. Required (RFC 8725 section 3.1).
        token_types: The values of which `typ` has to be one, with or without `application/`, in any
            case. `at+jwt` is that of access tokens (RFC 9068 section 2.1), and keeps ID tokens out.
            None, for an issuer that sets no such type: `typ` is not looked at.
        leeway: By how much the clocks of issuer and app may differ.
        resource_metadata: The URL of the app's metadata (RFC 9728 section 5.1), which every
            challenge then names; see `protected_resource`.
        scopes: What every valid token grants. `get_claimed_scopes` adds what the token says.
        max_credentials_size: The longest token that is read, in bytes. It is 16 KiB, since the
            groups of a user can make a token of 11 KB.

    Raises:
        TypeError: At construction, if `find_user` is not overridden, a required setting is missing,
            or a setting is of the wrong type.
        ValueError: At construction, if a setting is empty or not valid: an algorithm that is not
            one of these, or that no key can check; HS256, HS384 or HS512 with `JWKS`; another
            issuer than that of `JWKS.discover`.
    """

    keys: Keys
    issuer: str
    audience: str | Sequence[str]
    algorithms: Sequence[str]
    token_types: Sequence[str] | None = _TOKEN_TYPES
    leeway: timedelta = _LEEWAY
    resource_metadata: str | None = None
    max_credentials_size = 16_384

    _rules: TokenRules

    async def find_user(self, claims: Mapping[str, Any]) -> UserT | None:
        """Find the user of a valid token.

        Args:
            claims: All claims of the token. `sub` is a string without control characters.

        Returns:
            The user, or None for a token whose user may not log in.

        Raises:
            TimeoutError: If the user can't be looked up now. The answer is 503.
        """
        raise NotImplementedError

    def get_claimed_scopes(self, claims: Mapping[str, Any]) -> Sequence[str]:
        """Return the scopes that a token claims: `scope` (RFC 9068 section 2.2.3), or else `scp`.

        Override it for other claims, such as roles. Of what it returns, a scope that is not a
        scope-token (RFC 6749 section 3.3), and one that only backends grant (`fresh`, `via:…`), is
        left out.

        Args:
            claims: All claims of the token.

        Returns:
            The scopes. `scope` is a string of them with spaces in between, and `scp` that or a
            list; anything else has none.
        """
        names: Any = claims.get("scp")
        if "scope" in claims:
            names = claims["scope"] if isinstance(claims["scope"], str) else None
        if isinstance(names, str):
            names = names.split(" ")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return []
        return _grantable(names)

    async def resolve(self, token: str) -> tuple[UserT, Sequence[str]] | None:
        """Find the user whom a token stands for, and the scopes that it grants.

        Args:
            token: The token.

        Returns:
            The user and the scopes, or None where the token is not valid. The log says at DEBUG
            which rule it broke, by name.

        Raises:
            AuthenticationUnavailable: If the keys can't be had, or `find_user` ran into a
                `TimeoutError`.
        """
        checked = await self._check(token)
        if not isinstance(checked, str):
            user = await self._find_user(checked)
            # An empty result of a database is nobody. An object of the app's own class is a user,
            # whatever its truth.
            if type(user).__module__.partition(".")[0] not in sys.stdlib_module_names or user:
                return user, self._scopes_of(user, checked)
            checked = "user"
        _log_refusal(checked)
        return None

    def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
        """Return the challenge of RFC 6750 section 3, with `resource_metadata` where that is set.

        Args:
            conn: The request or WebSocket that is answered.

        Returns:
            The one challenge; see `AuthBackend.challenges`.
        """
        if self.resource_metadata is None:
            return super().challenges(conn)
        return (Challenge(self.scheme, realm=self.realm, resource_metadata=self.resource_metadata),)

    def openapi_scheme(self) -> Mapping[str, Any] | None:
        """Return the OpenAPI security scheme of JWTs; see `AuthBackend.openapi_scheme`."""
        found = super().openapi_scheme()
        return (
            found if found is None or found["type"] != "http" else {**found, "bearerFormat": "JWT"}
        )

    def _read(self, conn: HTTPConnection) -> str | None:
        try:
            return super()._read(conn)
        except InvalidCredentials:
            credentials = conn.headers.get("authorization", "").partition(" ")[2].strip()
            _log_refusal("size" if len(credentials) > self.max_credentials_size else "form")
            raise

    async def _check(self, token: str) -> dict[str, Any] | Rule:
        # The claims, or the rule that the token breaks.
        parsed = self._rules.parse(token)
        if isinstance(parsed, str):
            return parsed
        keys = await self.keys._find(parsed.algorithm, parsed.kid)
        if not keys:
            return "key"
        if any(
            verify(parsed.algorithm, key.public, parsed.message, parsed.signature) for key in keys
        ):
            return parsed.claims
        return "signature"

    async def _find_user(self, claims: Mapping[str, Any]) -> Any:
        try:
            pending = self.find_user(claims)
            if not hasattr(pending, "__await__"):
                raise TypeError(
                    f"find_user returned an object of the class {type(pending).__qualname__}, "
                    "which can't be awaited: define it with `async def`"
                )
            return await pending
        except TimeoutError:
            logger.error("Authentication is unavailable: find_user raised a TimeoutError")  # noqa: TRY400 - a traceback may hold a claim
        # Raised out of the handler: the text of that error may hold a claim.
        raise AuthenticationUnavailable

    def _scopes_of(self, user: Any, claims: Mapping[str, Any]) -> Sequence[str]:
        claimed = self.get_claimed_scopes(claims)
        if isinstance(claimed, (str, bytes)):
            raise TypeError(
                "get_claimed_scopes must return a sequence of scopes: in a string each letter "
                "would be one"
            )
        return list(dict.fromkeys((*self.get_scopes(user), *_grantable(claimed))))

    def _check_settings(self) -> None:
        super()._check_settings()
        name = type(self).__name__
        if not self._overrides("find_user", BaseJWTAuth):
            raise TypeError(f"{name} can't authenticate anybody: override find_user(claims)")
        if self._overrides("verify", BaseBearerAuth):
            raise TypeError(
                f"{name} overrides verify(token), which authenticate does not call: override "
                "find_user(claims)"
            )
        keys = check_keys(getattr(self, "keys", None))
        audience = getattr(self, "audience", None)
        names = (audience,) if isinstance(audience, str) else audience
        if self.resource_metadata is not None:
            check_url("resource_metadata", self.resource_metadata)
        self._rules = TokenRules(
            max_size=self.max_credentials_size,
            algorithms=check_algorithms(getattr(self, "algorithms", None), keys),
            media_types=read_media_types(self.token_types),
            issuer=check_issuer(getattr(self, "issuer", None), keys),
            audience=frozenset(read_names("audience", names)),
            leeway=check_leeway(self.leeway),
        )


class JWTAuth(BaseJWTAuth[JWTUser]):
    """Authentication by a bearer JWT, where the claims are all that the app knows of a user.

    Args:
        keys: `JWKS`, or `StaticKeys`.
        issuer: The `iss` of the tokens.
        audience: Which `aud` is meant for this app.
        algorithms: Which `alg` are allowed.
        token_types: The values of which `typ` has to be one, or None; see `BaseJWTAuth`.
        leeway: By how much the clocks of issuer and app may differ.
        resource_metadata: The URL of the app's metadata (RFC 9728), or None.

    Raises:
        TypeError: As for `BaseJWTAuth`.
        ValueError: As for `BaseJWTAuth`.
    """

    def __init__(
        self,
        *,
        keys: Keys,
        issuer: str,
        audience: str | Sequence[str],
        algorithms: Sequence[str],
        token_types: Sequence[str] | None = _TOKEN_TYPES,
        leeway: timedelta = _LEEWAY,
        resource_metadata: str | None = None,
    ) -> None:
        self.keys = keys
        self.issuer = issuer
        self.audience = audience
        self.algorithms = algorithms
        self.token_types = token_types
        self.leeway = leeway
        self.resource_metadata = resource_metadata

    async def find_user(self, claims: Mapping[str, Any]) -> JWTUser | None:
        """Return the claims as a user; override it to refuse some, see `BaseJWTAuth.find_user`."""
        return JWTUser(claims)


def _log_refusal(rule: Rule) -> None:
    # The name alone: not the token, and nothing out of it.
    logger.debug("Token refused by the rule %s", rule)


def _grantable(names: Sequence[str]) -> list[str]:
    granted = (name for name in names if is_scope_token(name) and not is_reserved_scope(name))
    return list(dict.fromkeys(granted))
