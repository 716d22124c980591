"""Serves the ASGI apps on the port that is the first argument of the program."""

import os
import sys
from typing import Any

import uvicorn


def serve_asgi(app: Any) -> None:
    """Serve *app* with uvicorn and the parser named by PEER_PARSER: `h11` or `httptools`.

    `pip install uvicorn` installs h11. `uvicorn[standard]` installs httptools too, and prefers it.
    """
    parser = os.environ.get("PEER_PARSER", "h11")
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), http=parser, log_level="critical")
