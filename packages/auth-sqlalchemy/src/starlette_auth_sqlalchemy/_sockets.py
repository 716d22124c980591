"""The sockets of drivers that block: how to end a query that no server answers any more."""

import os
import socket
from contextlib import suppress
from typing import Any

__all__ = ["hang_up"]


def hang_up(connection: Any) -> None:
    """Shut down the socket of a driver's connection that another thread waits for.

    That thread gets an error, and then gives the connection back, to be thrown away.

    Args:
        connection: The connection of psycopg or PyMySQL. Others, and None, are left alone.
    """
    # It may have been closed in this very moment.
    with suppress(Exception):
        # PyMySQL's is not public. One of TLS would change its state too.
        if isinstance(sock := getattr(connection, "_sock", None), socket.socket):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        elif hasattr(connection, "fileno"):
            with socket.socket(fileno=os.dup(connection.fileno())) as copy:
                copy.shutdown(socket.SHUT_RDWR)
