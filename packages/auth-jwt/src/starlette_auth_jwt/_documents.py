"""Fetches JSON documents from an issuer, within limits that it can't stretch.

A document that can't be had is a `DocumentUnavailable`, whatever went wrong on the way.
"""

import ssl
import zlib
from typing import Any

import httpx2
from anyio import CancelScope
from anyio.lowlevel import cancel_shielded_checkpoint

from ._json import parse_object

__all__ = ["MOST_BYTES", "DocumentUnavailable", "Documents"]

#: The largest document that is read, in bytes, after decompression.
MOST_BYTES = 256 * 1024
# What one read of httpx2 returns at most, in bytes.
_BUFFER = 64 * 1024
_SPOILED = "the answer can't be decompressed"


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
        if not url.lower().startswith("https:"):
            # It trusts nobody, and is never used.
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self._tls is None:
            self._tls = httpx2.create_ssl_context()
        return self._tls


async def _read(client: httpx2.AsyncClient, url: str) -> bytes:
    request = client.stream(
        "GET",
        url,
        headers={"Accept": "application/json", "Accept-Encoding": "gzip"},
        # Keys are taken from where the settings say, and from nowhere else.
        follow_redirects=False,
        # The caller's limit is for all of it.
        timeout=None,
    )
    async with request as response:
        if response.status_code != 200:
            raise DocumentUnavailable(f"status {response.status_code}")
        # A transport that has no network, such as one for tests, has read it already.
        is_read = response.is_stream_consumed
        chunks = response.aiter_bytes() if is_read else response.aiter_raw()
        encoding = "" if is_read else response.headers.get("content-encoding", "")
        body = _Body(encoding.lower())
        with CancelScope() as reading:
            # Not left by `break` or an error: the generators within httpx2 would stay half done,
            # for the garbage collector and, on asyncio, for a task. The next read ends them all.
            async for chunk in chunks:
                body.add(chunk)
                if body.problem:
                    reading.cancel()
                if body.surplus > _BUFFER:
                    # This much is no rest of what was read before: a transport of the app's own
                    # never waits, so that it can't be cancelled.
                    break
                if body.chunks % 100 == 0:
                    # Thousands of them can come out of one read, and stop the event loop.
                    await cancel_shielded_checkpoint()
    return body.read()


class _Body:
    # httpx2 decompresses too, but as far as the data goes, through several layers, on the event
    # loop.

    def __init__(self, encoding: str) -> None:
        self.problem = ""
        #: How many chunks there were, and how many bytes came after the problem.
        self.chunks = self.surplus = 0
        self._content = bytearray()
        is_gzip = encoding in ("gzip", "x-gzip")
        self._decompressor = zlib.decompressobj(wbits=31) if is_gzip else None
        if not is_gzip and encoding not in ("identity", ""):
            self.problem = "the answer is compressed in another way than gzip"

    def add(self, chunk: bytes) -> None:
        self.chunks += 1
        if self.problem:
            self.surplus += len(chunk)
            return
        if self._decompressor is not None:
            try:
                chunk = self._decompressor.decompress(chunk, MOST_BYTES + 1)
            except zlib.error:
                self.problem = _SPOILED
            if self._decompressor.unused_data:
                self.problem = _SPOILED
        self._content += chunk
        if len(self._content) > MOST_BYTES:
            self.problem = f"the answer is larger than {MOST_BYTES} bytes"

    def read(self) -> bytes:
        if self._decompressor is not None and not self._decompressor.eof:
            self.problem = self.problem or _SPOILED
        if self.problem:
            raise DocumentUnavailable(self.problem)
        return bytes(self._content)
