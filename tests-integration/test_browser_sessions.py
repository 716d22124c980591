"""The login page of the guide in Chromium, over https, so that the prefix `__Host-` is real."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.async_api import Browser, BrowserContext, Page, expect
from servers import serving

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

PROGRAM = Path(__file__).parent.parent / "docs" / "programs" / "sessions"
NAME = "__Host-session"
NEW_PASSWORD = "a rather long new one"

# Sends the fields as a form does, with the browser's own rules about cookies.
POST = """([url, fields]) => {
    const form = document.createElement("form");
    form.method = "post";
    form.action = url;
    for (const [name, value] of Object.entries(fields)) {
        const input = document.createElement("input");
        [input.name, input.value] = [name, value];
        form.append(input);
    }
    document.body.append(form);
    form.submit();
}"""
# It may not read the answer, but the request is made.
FETCH = """async url => {
    const options = { method: "POST", mode: "no-cors", credentials: "include" };
    await fetch(url, options);
}"""
CONNECT = """url => new Promise(resolve => {
    const socket = new WebSocket(url);
    socket.onmessage = event => resolve(event.data);
    socket.onerror = () => resolve("refused");
})"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Make a certificate for this machine, and return the options of uvicorn for it."""
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(signed.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    (folder / "key.pem").write_bytes(private)
    return [f"--ssl-certfile={folder / 'cert.pem'}", f"--ssl-keyfile={folder / 'key.pem'}"]


class Sites:
    """The app at `localhost`, and another one on another port, under two names."""

    def __init__(self, app: str, other: str) -> None:
        self.app = app.replace("127.0.0.1", "localhost")
        # Another port is another origin of the same site.
        self.same_site = other.replace("127.0.0.1", "localhost")
        self.cross_site = other


@contextmanager
def an_app(folder: Path, certificate: list[str]) -> Iterator[str]:
    env = {"DATABASE_URL": f"sqlite+aiosqlite:///{folder}/users.db"}
    with serving("app:app", *certificate, folder=PROGRAM, env=env) as server:
        yield server.url


@pytest.fixture(scope="module")
def other(certificate: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with an_app(tmp_path_factory.mktemp("other"), certificate) as url:
        yield url


@pytest.fixture(scope="module")
def sites(
    certificate: list[str], other: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sites]:
    with an_app(tmp_path_factory.mktemp("app"), certificate) as url:
        yield Sites(url, other)


@pytest.fixture
def own_app(certificate: list[str], tmp_path: Path) -> Iterator[str]:
    """Provide an app for one test, which may change the password."""
    with an_app(tmp_path, certificate) as url:
        yield url


@asynccontextmanager
async def a_browser(browser: Browser) -> AsyncIterator[Page]:
    """Provide a page of a browser that has no cookies yet, and trusts the certificate."""
    context = await browser.new_context(ignore_https_errors=True)
    yield await context.new_page()
    await context.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    async with a_browser(browser) as page:
        yield page


async def log_in(page: Page, url: str, password: str = "alicepwd") -> None:
    await page.goto(url)
    assert page.url.startswith(f"{url}/login")
    await page.fill("input[name=username]", "alice")
    await page.fill("input[name=password]", password)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.locator("h1")).to_have_text("Hello, alice!")


async def is_logged_in(context: BrowserContext, url: str) -> bool:
    page = await context.new_page()
    await page.goto(url)
    text = await page.locator("h1").inner_text()
    await page.close()
    return text == "Hello, alice!"


async def fetch(page: Page, url: str) -> int:
    """Have a script of the page post, and return the status, which the script can't read."""
    async with page.expect_response(url) as info:
        await page.evaluate(FETCH, url)
    return (await info.value).status


async def submit(page: Page, url: str, fields: dict[str, str]) -> int:
    """Post a form from the page, and return the status of the page that comes of it."""
    async with page.expect_navigation() as info:
        await page.evaluate(POST, [url, fields])
    return (await info.value).status


async def session_cookie(context: BrowserContext) -> Any:
    (cookie,) = [each for each in await context.cookies() if each.get("name") == NAME]
    return cookie


class TestLogin:
    async def test_form(self, page: Page, sites: Sites) -> None:
        await log_in(page, sites.app)
        assert page.url == f"{sites.app}/"
        await page.reload()
        await expect(page.locator("h1")).to_have_text("Hello, alice!")
        await expect(page.locator("li", has_text="this one")).to_have_count(1)

    async def test_cookie(self, page: Page, sites: Sites) -> None:
        await log_in(page, sites.app)
        cookie = await session_cookie(page.context)
        assert (cookie["path"], cookie["sameSite"]) == ("/", "Lax")
        assert cookie["secure"]
        assert cookie["httpOnly"]
        # Without a dot: it has no Domain.
        assert cookie["domain"] == "localhost"
        assert await page.evaluate("document.cookie") == ""

    async def test_wrong_password(self, page: Page, sites: Sites) -> None:
        await page.goto(sites.app)
        await page.fill("input[name=username]", "alice")
        await page.fill("input[name=password]", "wrong")
        async with page.expect_response(f"{sites.app}/login") as info:
            await page.get_by_role("button", name="Log in").click()
        assert (await info.value).status == 401
        await expect(page.locator("p")).to_have_text("The name or the password is wrong.")
        assert await page.context.cookies() == []

    async def test_link_on_another_site_leads_in(self, page: Page, sites: Sites) -> None:
        await log_in(page, sites.app)
        await page.goto(f"{sites.cross_site}/login")
        async with page.expect_response(f"{sites.app}/") as info:
            await page.evaluate("url => { location.href = url }", f"{sites.app}/")
        assert (await info.value).status == 200
        await expect(page.locator("h1")).to_have_text("Hello, alice!")


class TestOtherSites:
    async def test_form_of_another_site_arrives_without_the_cookie(
        self, page: Page, sites: Sites
    ) -> None:
        await log_in(page, sites.app)
        url = f"{sites.app}/end-others"
        await page.goto(f"{sites.cross_site}/login")
        assert await submit(page, url, {}) == 401
        assert await is_logged_in(page.context, sites.app)

    @pytest.mark.parametrize("origin", ["cross_site", "same_site"])
    @pytest.mark.parametrize("logged_in", [True, False])
    async def test_form_cannot_log_in_nor_out(
        self, page: Page, sites: Sites, origin: str, *, logged_in: bool
    ) -> None:
        if logged_in:
            await log_in(page, sites.app)
        for path, fields in (
            ("/login", {"username": "alice", "password": "alicepwd"}),
            ("/logout", {}),
        ):
            await page.goto(f"{getattr(sites, origin)}/login")
            url = f"{sites.app}{path}"
            assert await submit(page, url, fields) == 403
        assert await is_logged_in(page.context, sites.app) is logged_in

    async def test_form_from_another_port_is_refused(self, page: Page, sites: Sites) -> None:
        # The cookie comes along, since it is the same site.
        await log_in(page, sites.app)
        for path in "/end-others", "/password":
            await page.goto(f"{sites.same_site}/login")
            url = f"{sites.app}{path}"
            assert await submit(page, url, {}) == 403
            await expect(page.locator("body")).to_have_text("Cross-origin request refused")
        assert await is_logged_in(page.context, sites.app)

    @pytest.mark.parametrize(("origin", "status"), [("cross_site", 401), ("same_site", 403)])
    async def test_fetch_is_refused(
        self, page: Page, sites: Sites, origin: str, status: int
    ) -> None:
        await log_in(page, sites.app)
        await page.goto(f"{getattr(sites, origin)}/login")
        url = f"{sites.app}/end-others"
        assert await fetch(page, url) == status
        url = f"{sites.app}/logout"
        assert await fetch(page, url) == 403
        assert await is_logged_in(page.context, sites.app)

    async def test_fetch_of_the_page_itself_is_not(self, page: Page, sites: Sites) -> None:
        await log_in(page, sites.app)
        url = f"{sites.app}/logout"
        assert await fetch(page, url) == 303
        assert not await is_logged_in(page.context, sites.app)


class TestWebSocket:
    @pytest.mark.parametrize(
        ("origin", "message"),
        [("app", "Hello, alice!"), ("same_site", "refused"), ("cross_site", "refused")],
    )
    async def test_opens_for_the_page_alone(
        self, page: Page, sites: Sites, origin: str, message: str
    ) -> None:
        await log_in(page, sites.app)
        await page.goto(f"{getattr(sites, origin)}/login")
        url = sites.app.replace("https:", "wss:") + "/greet"
        assert await page.evaluate(CONNECT, url) == message

    async def test_is_refused_without_a_session(self, page: Page, sites: Sites) -> None:
        await page.goto(f"{sites.app}/login")
        url = sites.app.replace("https:", "wss:") + "/greet"
        assert await page.evaluate(CONNECT, url) == "refused"


class TestLogout:
    async def test_back_button_shows_nothing(self, page: Page, sites: Sites) -> None:
        await log_in(page, sites.app)
        await page.get_by_role("button", name="Log out", exact=True).click()
        await expect(page.locator("h1")).to_have_text("Log in")
        assert await page.context.cookies() == []
        await page.go_back()
        await expect(page.locator("h1")).to_have_text("Log in")
        assert page.url.startswith(f"{sites.app}/login")

    async def test_kept_cookie_is_of_no_use(self, page: Page, sites: Sites) -> None:
        await log_in(page, sites.app)
        cookie = await session_cookie(page.context)
        await page.get_by_role("button", name="Log out", exact=True).click()
        await expect(page.locator("h1")).to_have_text("Log in")
        await page.context.add_cookies([cookie])
        assert not await is_logged_in(page.context, sites.app)


class TestOtherBrowser:
    async def test_changed_password_ends_it(
        self, browser: Browser, page: Page, own_app: str
    ) -> None:
        async with a_browser(browser) as elsewhere:
            await log_in(page, own_app)
            await log_in(elsewhere, own_app)
            await page.fill("input[name=current]", "alicepwd")
            await page.fill("input[name=new]", NEW_PASSWORD)
            await page.get_by_role("button", name="Change password").click()
            await expect(page.locator("h1")).to_have_text("Hello, alice!")
            await expect(page.locator("li")).to_have_count(1)
            assert await is_logged_in(page.context, own_app)
            assert not await is_logged_in(elsewhere.context, own_app)
            await log_in(elsewhere, own_app, NEW_PASSWORD)

    async def test_it_can_be_logged_out(self, browser: Browser, page: Page, own_app: str) -> None:
        async with a_browser(browser) as elsewhere:
            await log_in(elsewhere, own_app)
            await log_in(page, own_app)
            await expect(page.locator("li")).to_have_count(2)
            await page.get_by_role("button", name="Log out everywhere else").click()
            await expect(page.locator("li")).to_have_count(1)
            assert not await is_logged_in(elsewhere.context, own_app)
            assert await is_logged_in(page.context, own_app)
