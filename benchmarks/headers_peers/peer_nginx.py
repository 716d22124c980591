"""nginx with `auth_basic`."""

import os
import sys
from pathlib import Path

from password_file import write

CONFIGURATION = """
daemon off;
master_process off;
error_log /dev/null crit;
pid {folder}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/pages;
        location / {{
            auth_basic "Restricted";
            auth_basic_user_file {users};
        }}
    }}
}}
"""


def main() -> None:
    program, port, folder = sys.argv[2], int(sys.argv[1]), Path(os.environ["PEER_FOLDER"])
    pages = folder / "pages"
    pages.mkdir()
    (pages / "basic").write_text("in\n")
    text = CONFIGURATION.format(folder=folder, port=port, users=write(folder))
    (folder / "nginx.conf").write_text(text)
    os.execv(program, [program, "-c", str(folder / "nginx.conf")])  # noqa: S606 - no shell


if __name__ == "__main__":
    main()
