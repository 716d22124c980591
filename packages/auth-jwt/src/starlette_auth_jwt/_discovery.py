"""Where an issuer's keys are, by its own metadata."""

from ._documents import Documents, DocumentUnavailable
from ._urls import check_url

__all__ = ["find_jwks_uri"]


async def find_jwks_uri(issuer: str, documents: Documents) -> str:
    """Return the `jwks_uri` of an issuer's metadata.

    Raises:
        DocumentUnavailable: If there is no metadata, or it is that of another issuer (OpenID
            Connect Discovery 1.0 section 4.3, RFC 8414 section 3.3).
        ValueError: If its `jwks_uri` is not a URL to take keys from.
    """
    problem = ""
    for url in _metadata_urls(issuer):
        try:
            metadata = await documents.fetch(url)
        except DocumentUnavailable as error:
            problem = str(error)
            continue
        if metadata.get("issuer") != issuer:
            raise DocumentUnavailable("its metadata names another issuer")
        jwks_uri = metadata.get("jwks_uri")
        if not isinstance(jwks_uri, str):
            raise DocumentUnavailable("its metadata has no jwks_uri")
        check_url("jwks_uri", jwks_uri)
        return jwks_uri
    raise DocumentUnavailable(f"there is no metadata ({problem})")


def _metadata_urls(issuer: str) -> tuple[str, str]:
    # A slash at the end is removed first: OpenID Connect Discovery 1.0 section 4.1, RFC 8414
    # section 3.1, which puts the path of the issuer last.
    base = issuer.removesuffix("/")
    parts = check_url("issuer", base)
    return (
        f"{base}/.well-known/openid-configuration",
        f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path}",
    )
