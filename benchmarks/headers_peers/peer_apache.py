"""Apache's httpd with `AuthType Basic`."""

import os
import sys
from pathlib import Path

from password_file import write

CONFIGURATION = """
ServerRoot {folder}
ServerName localhost
PidFile {folder}/httpd.pid
DefaultRuntimeDir {folder}
Mutex file:{folder}
ErrorLog /dev/null
Listen 127.0.0.1:{port}
StartServers 1
DocumentRoot {folder}/pages
{user}
{modules}
<Directory {folder}/pages>
    AuthType Basic
    AuthName Restricted
    AuthBasicProvider file
    AuthUserFile {users}
    Require valid-user
</Directory>
"""
MODULES = (
    "mpm_event",
    "authn_core",
    "authn_file",
    "auth_basic",
    "authz_core",
    "authz_user",
)
FOLDER = "/usr/lib/apache2/modules"


def main() -> None:
    program, port, folder = sys.argv[2], int(sys.argv[1]), Path(os.environ["PEER_FOLDER"])
    pages = folder / "pages"
    pages.mkdir()
    (pages / "basic").write_text("in\n")
    text = CONFIGURATION.format(
        folder=folder,
        port=port,
        users=write(folder),
        # It does not serve as root.
        user="User www-data\nGroup www-data" if os.geteuid() == 0 else "",
        modules="\n".join(f"LoadModule {name}_module {FOLDER}/mod_{name}.so" for name in MODULES),
    )
    (folder / "httpd.conf").write_text(text)
    arguments = ["-f", str(folder / "httpd.conf"), "-DFOREGROUND"]
    os.execv(program, [program, *arguments])  # noqa: S606 - no shell


if __name__ == "__main__":
    main()
