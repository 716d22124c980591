"""Fetches JSON documents from an issuer, within limits that it can't stretch.

A document that can't be had is a `DocumentUnavailable`, whatever went wrong on the way.
"""

import ssl
from contextlib import aclosing
from typing import Any

import httpx2

from ._json import parse_object

__all__ = ["MOST_BYTES", "DocumentUnavailable", "Documents"]

#: The largest document that is read, in bytes, after decompression.
MOST_BYTES = 256 * 1024


class DocumentUnavailable(Exception):
    """Raised where a document could not be had. Its text says why, in words for a log."""


class Documents:
    """Fetches documents, one at a time.

    Args:
        client: The app's own client, which is not closed. None: one for each call of `session`,
            since a pool of connections belongs to an event loop.
        needs_tls: Whether to prepare for TLS now: reading the certificates takes about 20 ms, which
            the event loop should not spend.
    """

    def __init__(self, client: httpx2.AsyncClient | None, *, needs_tls: bool) -> None:
        if client is not None and not isinstance(client, httpx2.AsyncClient):
            raise TypeError(
                f"client must be an httpx2.AsyncClient or None; got {type(client).__name__}"
            )
        self._client = client
        self._tls = httpx2.create_ssl_context() if needs_tls and client is None else None

    async def fetch(self, url: str) -> dict[str, Any]:
        """Fetch the JSON object at *url*. The caller sets a time limit.

        Raises:
            DocumentUnavailable: If the answer is not 200, too large, or not a JSON object.
        """
        try:
            if self._client is not None:
                body = await _read(self._client, url)
            else:
                async with httpx2.AsyncClient(verify=self._context_for(url)) as client:
                    body = await _read(client, url)
        except DocumentUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - an app's client may raise anything
            raise DocumentUnavailable(type(error).__name__) from None
        document = parse_object(body)
        if document is None:
            raise DocumentUnavailable("the answer is not a JSON object, or repeats a member")
        return document

    def _context_for(self, url: str) -> ssl.SSLContext:
        if not url.startswith("https:"):
            # It trusts nobody, and is never used.
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self._tls is None:
            self._tls = httpx2.create_ssl_context()
        return self._tls


async def _read(client: httpx2.AsyncClient, url: str) -> bytes:
    request = client.stream(
        "GET",
        url,
        headers={"Accept": "application/json"},
        # Keys are taken from where the settings say, and from nowhere else.
        follow_redirects=False,
        # The caller's limit is for all of it.
        timeout=None,
    )
    body = bytearray()
    async with request as response:
        if response.status_code != 200:
            raise DocumentUnavailable(f"status {response.status_code}")
        async with aclosing(response.aiter_bytes()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > MOST_BYTES:
                    raise DocumentUnavailable(f"the answer is larger than {MOST_BYTES} bytes")
    return bytes(body)
