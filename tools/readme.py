"""Does what a package's README says, with what is installed: runs its first example.

An example that is an app is served by uvicorn, and asked for its protected page.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import HTTPError
from urllib.request import urlopen


def main() -> None:
    """Run the example of the README that the command line names."""
    text = Path(sys.argv[1]).read_text("utf-8")
    example = re.search(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    if example is None:
        sys.exit(f"{sys.argv[1]} has no Python example")
    with TemporaryDirectory() as folder:
        Path(folder, "app.py").write_text(example[1], "utf-8")
        if "uvicorn app:app" in text:
            serve(folder)
        else:
            subprocess.run([sys.executable, "app.py"], cwd=folder, check=True)


def serve(folder: str) -> None:
    """Serve the example on a free port, and expect it to turn an anonymous request away."""
    server = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "app:app", "--port=0"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert server.stderr is not None
    try:
        for line in server.stderr:
            print(line, end="")
            if address := re.search(r"running on (\S+)", line):
                ask(f"{address[1]}/protected")
                return
        sys.exit("uvicorn did not start")
    finally:
        server.terminate()
        server.communicate(timeout=10)


def ask(url: str) -> None:
    """Expect a 401, or the 403 of Starlette's own `requires`."""
    try:
        with urlopen(url, timeout=10) as response:  # noqa: S310 - our own server
            status = response.status
    except HTTPError as error:
        status = error.code
    if status not in (401, 403):
        sys.exit(f"{url} answered {status} to an anonymous request")
    print(f"{url} answered {status}")


if __name__ == "__main__":
    main()
