"""The requests that show what the demo does, and the answer to each."""

import base64
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message

CHALLENGES = (
    'Token realm="Restricted"',
    'Basic realm="Restricted", charset="UTF-8"',
    'Session realm="Restricted"',
)


@dataclass(frozen=True)
class Step:
    """A request, as curl and as headers, and what it is answered with."""

    title: str
    path: str
    status: int
    body: str
    curl: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def command(self, url: str) -> str:
        """Return the command line that makes the request."""
        return " ".join(filter(None, ("curl -i", self.curl, f"{url}{self.path}")))

    def answer(self) -> str:
        """Return what it is answered with, as one line."""
        return f"{self.status} {self.body}"


def steps(token: str) -> Iterator[Step]:
    """Yield the steps of the tour, for one who has that token."""
    yield Step("Nobody in particular", "/", 200, '{"message":"Hello, stranger!"}')
    yield Step("Nobody, where somebody is asked for", "/protected", 401, "Unauthorized")
    yield _basic("A password", "alice", "alicepwd", 200, '{"message":"Hello, alice!"}')
    yield _basic("A wrong password", "alice", "wrong", 401, "Invalid credentials")
    yield _basic("An unknown user, who gets the same", "eve", "x", 401, "Invalid credentials")
    yield _basic(
        "A user with an old PBKDF2 hash; this first login replaces it with Argon2",
        *("bob", "bobpwd", 200, '{"message":"Hello, bob!"}'),
    )
    yield _basic("The same user again", "bob", "bobpwd", 200, '{"message":"Hello, bob!"}')
    yield _token("A token", token, 200, '{"message":"Hello, alice!"}')
    yield _token("A wrong token", f"{token[:-1]}_", 401, "Invalid credentials")


def ask(url: str, step: Step) -> list[str]:
    """Make the request of *step*, and return what is wrong with the answer."""
    status, body, headers = _request(f"{url}{step.path}", step.headers)
    wrong = []
    if (status, body) != (step.status, step.body):
        wrong.append(f"expected {step.answer()}, got {status} {body}")
    challenges = tuple(headers.get_all("WWW-Authenticate", ()))
    if challenges != (CHALLENGES if step.status == 401 else ()):
        wrong.append(f"got the challenges {challenges}")
    return wrong


def log_in(url: str) -> list[str]:
    """Log in and out as a browser does, and return what is wrong with the pages."""
    cookies = urllib.request.HTTPCookieProcessor()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)
    wrong = []
    for path, form, expected in (
        ("/login", None, "<h1>Log in</h1>"),
        ("/login", {"username": "alice", "password": "alicepwd"}, "<h1>Hello, alice!</h1>"),
        ("/login", None, "(this one)"),
        ("/logout", {}, "<h1>Log in</h1>"),
        ("/login", None, "<h1>Log in</h1>"),
    ):
        data = None if form is None else urllib.parse.urlencode(form).encode()
        with opener.open(f"{url}{path}", data, timeout=30) as response:
            if expected not in response.read().decode():
                wrong.append(f"{path} does not show {expected}")
    return wrong


def _basic(title: str, username: str, password: str, status: int, body: str) -> Step:
    credentials = f"{username}:{password}"
    encoded = base64.b64encode(credentials.encode()).decode()
    return Step(
        *(title, "/protected", status, body, f"-u {credentials}"),
        {"Authorization": f"Basic {encoded}"},
    )


def _token(title: str, token: str, status: int, body: str) -> Step:
    value = f"Token {token}"
    return Step(
        *(title, "/protected", status, body, f'-H "Authorization: {value}"'),
        {"Authorization": value},
    )


def _request(url: str, headers: Mapping[str, str]) -> tuple[int, str, Message]:
    # Straight to this machine, whatever proxy the environment names.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - http alone
    try:
        with opener.open(request, timeout=30) as response:
            return response.status, response.read().decode(), response.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), error.headers
