"""The "Authorize" button of FastAPI's documentation, pressed in Chromium."""

import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Error, Locator, Page, Route, expect
from servers import Server, serving, unavailable

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

FOLDER = Path(__file__).parent.parent / "examples" / "fastapi"


@pytest.fixture(scope="session")
def swagger_ui() -> Path:
    """Provide what FastAPI's page loads from elsewhere: npm's package swagger-ui-dist."""
    folder = Path(os.environ.get("SWAGGER_UI_DIST", "nowhere"))
    if not folder.is_dir():
        unavailable("SWAGGER_UI_DIST does not name npm's swagger-ui-dist")
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("app:app", folder=FOLDER) as server:
        yield server


@pytest.fixture(scope="module")
def private() -> Iterator[Server]:
    with serving("private:app", folder=FOLDER) as server:
        yield server


async def keep_offline(context: BrowserContext, swagger_ui: Path) -> None:
    """Serve what a page wants from elsewhere out of that folder, or not at all."""

    async def answer(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        if name in {"swagger-ui-bundle.js", "swagger-ui.css"}:
            await route.fulfill(path=swagger_ui / name)
        else:
            await route.abort()

    await context.route(re.compile(r"^https://"), answer)


@pytest.fixture
async def page(browser: Browser, swagger_ui: Path) -> AsyncIterator[Page]:
    context = await browser.new_context()
    await keep_offline(context, swagger_ui)
    yield await context.new_page()
    await context.close()


async def authorize(page: Page, scheme: str, *texts: str) -> None:
    """Press "Authorize", fill in what *scheme* asks for, and close the dialogue."""
    await page.get_by_role("button", name="Authorize").first.click()
    dialogue = page.locator(".dialog-ux")
    form = dialogue.locator("form").filter(
        has=page.locator("h4", has_text=re.compile(f"^{scheme}\\b"))
    )
    # Not by their labels: those of all API keys belong to the first one.
    for position, text in enumerate(texts):
        await form.locator("input").nth(position).fill(text)
    await form.get_by_role("button", name="Apply credentials").click()
    await dialogue.get_by_role("button", name="Close").last.click()


async def execute(page: Page, path: str) -> tuple[int, str]:
    """Try an operation out, and return what the page shows of the answer."""
    operation: Locator = page.locator(".opblock").filter(has_text=path)
    await operation.click()
    await operation.get_by_role("button", name="Try it out").click()
    async with page.expect_response(lambda response: response.url.endswith(path)) as info:
        await operation.get_by_role("button", name="Execute").click()
    response = await info.value
    shown = operation.locator(".live-responses-table .response-col_status")
    await expect(shown.last).to_contain_text(str(response.status))
    return response.status, await response.text()


class TestAuthorize:
    async def test_password(self, server: Server, page: Page) -> None:
        await page.goto(f"{server.url}/docs")
        await authorize(page, "Password", "alice", "alicepwd")
        status, body = await execute(page, "/me")
        assert (status, json.loads(body)) == (200, {"username": "alice"})

    @pytest.mark.parametrize(
        ("scheme", "value"),
        [("Bearer token", "{token}"), ("Token", "Token {token}"), ("API key", "{token}")],
    )
    async def test_token(self, server: Server, page: Page, scheme: str, value: str) -> None:
        token = server.wait_for(r"Your token: (\S+)")[1]
        await page.goto(f"{server.url}/docs")
        await authorize(page, scheme, value.format(token=token))
        status, body = await execute(page, "/machines")
        assert (status, json.loads(body)) == (200, ["authenticated", "via:token"])

    async def test_wrong_token(self, server: Server, page: Page) -> None:
        await page.goto(f"{server.url}/docs")
        await authorize(page, "Bearer token", "wrong")
        assert await execute(page, "/me") == (401, "Invalid credentials")


class TestProtectedDocumentation:
    async def test_opens_with_a_password(
        self, private: Server, browser: Browser, swagger_ui: Path
    ) -> None:
        context = await browser.new_context(
            http_credentials={"username": "zoë", "password": "123£"}
        )
        await keep_offline(context, swagger_ui)
        page = await context.new_page()
        await page.goto(f"{private.url}/docs")
        status, body = await execute(page, "/me")
        assert (status, json.loads(body)) == (200, {"username": "zoë"})
        await context.close()

    async def test_does_not_open_without(self, private: Server, page: Page) -> None:
        with pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
            await page.goto(f"{private.url}/docs")
