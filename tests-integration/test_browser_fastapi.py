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

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "fastapi"
GUIDE = ROOT / "docs" / "programs" / "fastapi_app"


@pytest.fixture(scope="session")
def swagger_ui() -> Path:
    """Provide what FastAPI's page loads from elsewhere: npm's package swagger-ui-dist."""
    folder = Path(os.environ.get("SWAGGER_UI_DIST", "nowhere"))
    if not folder.is_dir():
        unavailable("SWAGGER_UI_DIST does not name npm's swagger-ui-dist")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    url = f"sqlite:///{tmp_path_factory.mktemp('example')}/users.db"
    with serving("app:app", folder=EXAMPLE, env={"DATABASE_URL": url}) as server:
        yield server


@pytest.fixture(scope="module")
def guide() -> Iterator[Server]:
    with serving("app:app", folder=GUIDE) as server:
        yield server


@pytest.fixture(scope="module")
def private() -> Iterator[Server]:
    with serving("private:app", folder=GUIDE) as server:
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


class Dialogue:
    """The dialogue behind the "Authorize" button, and in it the form of one scheme."""

    def __init__(self, page: Page, scheme: str) -> None:
        self.page = page
        self.whole = page.locator(".dialog-ux")
        self.form = self.whole.locator(".auth-container").filter(
            has=page.locator("h4", has_text=re.compile(f"^{scheme}\\b"))
        )
        # By its text: its label for screen readers is another one.
        self.log_out_button = self.form.locator("button", has_text="Logout")

    async def open(self) -> None:
        await self.page.get_by_role("button", name="Authorize").first.click()
        await expect(self.form).to_be_visible()

    async def submit(self, username: str, password: str, *scopes: str) -> None:
        await self.form.locator("input[type=text]").first.fill(username)
        await self.form.locator("input[type=password]").first.fill(password)
        for scope in scopes:
            await self.form.locator(".scopes label", has_text=scope).first.click()
        await self.form.locator("button.authorize").click()

    async def log_out(self) -> None:
        await self.log_out_button.click()
        await expect(self.form.locator("input[type=password]").first).to_be_visible()

    async def close(self) -> None:
        await self.whole.get_by_role("button", name="Close").last.click()


async def execute(page: Page, path: str) -> tuple[int, str]:
    """Try an operation out, and return what the page shows of the answer."""
    operation: Locator = page.locator(".opblock").filter(has=page.locator(f'[data-path="{path}"]'))
    if not await operation.locator(".opblock-body").is_visible():
        await operation.locator(".opblock-summary").click()
        await operation.get_by_role("button", name="Try it out").click()
    async with page.expect_response(lambda response: response.url.endswith(path)) as info:
        await operation.get_by_role("button", name="Execute").click()
    response = await info.value
    shown = operation.locator(".live-responses-table .response-col_status")
    await expect(shown.last).to_contain_text(str(response.status))
    return response.status, await response.text()


class TestLogin:
    async def test_password(self, server: Server, page: Page) -> None:
        await page.goto(f"{server.url}/docs")
        assert await execute(page, "/me") == (401, '{"detail":"Unauthorized"}')
        dialogue = Dialogue(page, "OAuth2-Password")

        await dialogue.open()
        async with page.expect_request("**/token") as info:
            await dialogue.submit("alice", "wrong")
        await expect(dialogue.form.locator(".errors")).to_contain_text("Bad Request")
        # It stands for a client without a name and a secret.
        assert (await info.value).headers["authorization"] == "Basic Og=="

        await dialogue.submit("alice", "alicepwd")
        await expect(dialogue.log_out_button).to_be_visible()
        await dialogue.close()
        status, body = await execute(page, "/me")
        assert (status, json.loads(body)) == (200, {"username": "alice"})

        await dialogue.open()
        await dialogue.log_out()
        await dialogue.close()
        assert await execute(page, "/me") == (401, '{"detail":"Unauthorized"}')

    async def test_scopes(self, guide: Server, page: Page) -> None:
        await page.goto(f"{guide.url}/docs")
        dialogue = Dialogue(page, "OAuth2-Password")
        await dialogue.open()
        await dialogue.submit("bob", "bobpwd", "articles:write")
        await expect(dialogue.form.locator(".errors")).to_contain_text("Bad Request")
        async with page.expect_response("**/token") as info:
            await dialogue.submit("alice", "alicepwd")
        assert (await (await info.value).json())["scope"] == "articles:write"
        await expect(dialogue.log_out_button).to_be_visible()
        await dialogue.close()
        status, body = await execute(page, "/protected")
        assert (status, json.loads(body)) == (200, {"message": "Hello, alice!"})


class TestBasic:
    async def test_password(self, server: Server, page: Page) -> None:
        await page.goto(f"{server.url}/docs")
        dialogue = Dialogue(page, "Basic")
        await dialogue.open()
        await dialogue.submit("alice", "alicepwd")
        await dialogue.close()
        status, body = await execute(page, "/me")
        assert (status, json.loads(body)) == (200, {"username": "alice"})

    async def test_wrong_password_opens_no_pop_up(self, server: Server, page: Page) -> None:
        await page.goto(f"{server.url}/docs")
        dialogue = Dialogue(page, "Basic")
        await dialogue.open()
        await dialogue.submit("alice", "wrong")
        await dialogue.close()
        # Behind the browser's own dialogue, the page would wait.
        assert await execute(page, "/me") == (401, '{"detail":"Invalid credentials"}')


class TestProtectedDocumentation:
    async def test_opens_with_a_password(
        self, private: Server, browser: Browser, swagger_ui: Path
    ) -> None:
        context = await browser.new_context(
            http_credentials={"username": "alice", "password": "alicepwd"}
        )
        await keep_offline(context, swagger_ui)
        page = await context.new_page()
        await page.goto(f"{private.url}/docs")
        status, body = await execute(page, "/protected")
        assert (status, json.loads(body)) == (200, {"message": "Hello, alice!"})
        await context.close()

    async def test_does_not_open_without(self, private: Server, page: Page) -> None:
        with pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
            await page.goto(f"{private.url}/docs")
