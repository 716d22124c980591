"""The sockets of drivers: how to end a query that no server answers any more."""

import os
import socket
from typing import Any

__all__ = ["hang_up"]


def hang_up(connection: Any) -> bool:
    """Shut down the socket of a driver's connection that another thread or task waits for.

    The one that waits gets an error, and then throws the connection away.

    Args:
        connection: The connection of psycopg or PyMySQL. Others, and None, are left alone.

    Returns:
        Whether it was shut down.
    """
    try:
        # PyMySQL's is not public. The method of a TLS socket would change its state too.
        if isinstance(sock := getattr(connection, "_sock", None), socket.socket):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        else:
            with socket.socket(fileno=os.dup(connection.fileno())) as copy:
                copy.shutdown(socket.SHUT_RDWR)
    except Exception:  # noqa: BLE001  # Another driver, or closed in this very moment.
        return False
    return True
