"""The README's code, run as it is printed, and what it answers."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio

Fetch = Callable[..., Awaitable[httpx.Response]]

README = Path(__file__).parent.parent.joinpath("README.md").read_text(encoding="utf-8")


def run_example() -> Any:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(code, "README.md", "exec"), names)
    return type("Module", (), names)


def challenges(response: httpx.Response) -> list[str]:
    return response.headers.get_list("www-authenticate")


async def test_the_complete_example(fetch: Fetch, capsys: pytest.CaptureFixture[str]) -> None:
    module = run_example()
    assert capsys.readouterr().out == f"Your token: {module.token}\n"

    printed = re.findall(r"^www-authenticate: (.*)$", README, re.MULTILINE)
    response = await fetch(module.app, "/protected")
    assert (response.status_code, challenges(response)) == (401, printed[:1])
    response = await fetch(module.app, "/protected", bearer="wrong")
    assert (response.status_code, challenges(response)) == (401, printed[1:])
    response = await fetch(module.app, "/protected", bearer=module.token)
    assert response.text == '{"message":"Hello, alice!"}'
    assert response.text in README
