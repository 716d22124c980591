"""Serves the WSGI apps on the port that is the first argument of the program."""

import sys
from typing import Any

from gunicorn.app.base import BaseApplication


def serve_wsgi(app: Any) -> None:
    """Serve *app* with gunicorn and one worker."""
    _Gunicorn(app).run()


class _Gunicorn(BaseApplication):  # type: ignore[misc]  # it has no types
    def __init__(self, app: Any) -> None:
        self._app = app
        super().__init__()

    def load_config(self) -> None:
        self.cfg.set("bind", f"127.0.0.1:{int(sys.argv[1])}")
        self.cfg.set("loglevel", "critical")

    def load(self) -> Any:
        return self._app
