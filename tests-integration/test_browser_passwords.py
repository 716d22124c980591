"""What Chromium does with our answers: when it asks its user for a password, and what it sends."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import store
from playwright.async_api import Browser, Error, Page
from servers import Server, serving
from store import ALICE, ZOE

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

ROOT = Path(__file__).parent.parent

WHO = "async path => { const r = await fetch(path); return [r.status, await r.text()] }"
LOGIN = """async ([path, username, password]) => {
    const body = JSON.stringify({ username, password });
    const r = await fetch(path, { method: "POST", body });
    return [r.status, r.headers.get("www-authenticate")];
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    url = f"sqlite:///{tmp_path_factory.mktemp('database')}/test.db"
    store.fill(url)
    with serving("popup:app", env={"DATABASE_URL": url}) as server:
        yield server


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    page = await browser.new_page()
    yield page
    await page.close()


class Dialogues:
    """Answers each password dialogue of a page as who presses Escape does, and counts them."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[str] = []
        self._answers: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> "Dialogues":
        self.session = await self.page.context.new_cdp_session(self.page)
        self.session.on("Fetch.authRequired", self._on_dialogue)
        self.session.on("Fetch.requestPaused", self._on_request)
        await self.session.send("Fetch.enable", {"handleAuthRequests": True})
        return self

    async def __aexit__(self, *_: object) -> None:
        # A request that is paused goes on, and its answer may find it gone.
        self.session.remove_listener("Fetch.authRequired", self._on_dialogue)
        self.session.remove_listener("Fetch.requestPaused", self._on_request)
        await self.session.send("Fetch.disable")
        await asyncio.gather(*self._answers, return_exceptions=True)
        await self.session.detach()

    def _on_dialogue(self, event: dict[str, Any]) -> None:
        self.asked.append(event["authChallenge"]["scheme"])
        cancel = {"response": "CancelAuth"}
        self._send("Fetch.continueWithAuth", event, authChallengeResponse=cancel)

    def _on_request(self, event: dict[str, Any]) -> None:
        self._send("Fetch.continueRequest", event)

    def _send(self, method: str, event: dict[str, Any], **parameters: Any) -> None:
        sent = self.session.send(method, {"requestId": event["requestId"], **parameters})
        task = asyncio.ensure_future(sent)
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)


class TestDialogue:
    """The control: without the recipe, a page's script makes the browser ask."""

    async def test_navigation_asks(self, server: Server, page: Page) -> None:
        async with Dialogues(page) as dialogues:
            response = await page.goto(f"{server.url}/loud/who")
            assert response is not None
            assert response.status == 401
        assert dialogues.asked == ["basic"]

    async def test_script_asks(self, server: Server, page: Page) -> None:
        await page.goto(server.url)
        async with Dialogues(page) as dialogues:
            assert await page.evaluate(WHO, "/loud/who") == [401, "Unauthorized"]
        assert dialogues.asked == ["basic"]

    async def test_login_of_a_script_asks(self, server: Server, page: Page) -> None:
        await page.goto(server.url)
        async with Dialogues(page) as dialogues:
            status, _ = await page.evaluate(LOGIN, ["/loud/login", "alice", "wrong"])
        assert status == 401
        assert dialogues.asked == ["basic"]


class TestRecipe:
    """`challenges` that answers scripts in a scheme that browsers do not know."""

    def test_is_that_of_the_guide(self) -> None:
        guide = ROOT / "docs/programs/single_page/app.py"
        app = ROOT / "tests-integration/apps/popup.py"
        method = re.compile(r"^    def challenges.*?(?=\n\n)", re.MULTILINE | re.DOTALL)
        recipes = [method.search(path.read_text(encoding="utf-8")) for path in (guide, app)]
        first, second = (recipe and recipe[0].strip() for recipe in recipes)
        assert first is not None
        assert first == second

    async def test_script_asks_nobody(self, server: Server, page: Page) -> None:
        await page.goto(server.url)
        async with Dialogues(page) as dialogues:
            assert await page.evaluate(WHO, "/quiet/who") == [401, "Unauthorized"]
        assert dialogues.asked == []

    async def test_login_of_a_script_asks_nobody(self, server: Server, page: Page) -> None:
        await page.goto(server.url)
        async with Dialogues(page) as dialogues:
            right = await page.evaluate(LOGIN, ["/quiet/login", *ZOE])
            wrong = await page.evaluate(LOGIN, ["/quiet/login", "alice", "wrong"])
        assert right == [200, None]
        # RFC 9110 section 15.5.2: a 401 has a challenge.
        assert wrong == [401, 'FormBased realm="Restricted"']
        assert dialogues.asked == []

    async def test_navigation_still_asks(self, server: Server, page: Page) -> None:
        async with Dialogues(page) as dialogues:
            await page.goto(f"{server.url}/quiet/who")
        assert dialogues.asked == ["basic"]


class TestWhatPeopleType:
    @pytest.mark.parametrize("credentials", [ALICE, ZOE])
    async def test_right_password(
        self, server: Server, browser: Browser, credentials: tuple[str, str]
    ) -> None:
        username, password = credentials
        context = await browser.new_context(
            http_credentials={"username": username, "password": password}
        )
        page = await context.new_page()
        response = await page.goto(f"{server.url}/loud/who")
        assert response is not None
        assert (await response.json())["user"] == username
        # The browser keeps it for the scripts of its pages.
        status, body = await page.evaluate(WHO, "/loud/who")
        assert (status, json.loads(body)["user"]) == (200, username)
        await context.close()

    async def test_wrong_password(self, server: Server, browser: Browser) -> None:
        context = await browser.new_context(
            http_credentials={"username": "alice", "password": "wrong"}
        )
        page = await context.new_page()
        response = await page.goto(f"{server.url}/loud/who")
        assert response is not None
        assert (response.status, await response.text()) == (401, "Invalid credentials")
        await context.close()

    async def test_no_password(self, server: Server, page: Page) -> None:
        with pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
            await page.goto(f"{server.url}/loud/who")
