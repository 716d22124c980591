"""What a response asks for: the challenges of RFC 9110 section 11.6.1."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Challenge"]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PRINTABLE_ASCII = re.compile(r"[ -~]*")


@dataclass(frozen=True, slots=True, init=False)
class Challenge:
    """A scheme and its parameters, such as `Basic realm="Restricted", charset="UTF-8"`.

    Args:
        scheme: The name of the authentication scheme, a token of RFC 9110 section 5.6.2.
        **parameters: The parameters, sent in this order as quoted strings, as RFC 9110 section
            11.5 demands of `realm` and allows for all.

    Raises:
        ValueError: If the scheme or a parameter's name is no token, a name occurs twice
            (names are case-insensitive), or a value holds anything but printable ASCII: control
            characters would split the header, and other text has no agreed encoding there.
    """

    scheme: str
    parameters: tuple[tuple[str, str], ...]

    def __init__(self, scheme: str, **parameters: str) -> None:
        if not is_token(scheme):
            raise ValueError(f"{scheme!r} is no name of a scheme: use a token of RFC 9110")
        for name, value in parameters.items():
            if not is_token(name):
                raise ValueError(f"{name!r} is no name of a parameter: use a token of RFC 9110")
            if not _PRINTABLE_ASCII.fullmatch(value):
                raise ValueError(f"The parameter {name} may hold only printable ASCII: {value!r}")
        if len({name.lower() for name in parameters}) < len(parameters):
            raise ValueError(f"A parameter occurs twice: {', '.join(parameters)}")
        object.__setattr__(self, "scheme", scheme)
        object.__setattr__(self, "parameters", tuple(parameters.items()))

    def to_header(self) -> str:
        """Return the value of a `WWW-Authenticate` line."""
        rendered = ", ".join(f"{name}={_quote(value)}" for name, value in self.parameters)
        return f"{self.scheme} {rendered}" if rendered else self.scheme


def is_token(text: str) -> bool:
    """Tell whether *text* is a token of RFC 9110 section 5.6.2, as all names in headers are."""
    return _TOKEN.fullmatch(text) is not None


def find_entry(challenges: Iterable[Challenge], scheme: str) -> Challenge | None:
    """Return the first of *challenges* that is of *scheme*."""
    for challenge in challenges:
        if challenge.scheme.lower() == scheme.lower():
            return challenge
    return None


def replace_entry(challenges: Iterable[Challenge], own: Challenge | None) -> tuple[Challenge, ...]:
    """Return *challenges* with *own* in the place of the first one of its scheme, or at the end."""
    entries = tuple(challenges)
    if own is None:
        return entries
    replaced = find_entry(entries, own.scheme)
    if replaced is None:
        return (*entries, own)
    index = entries.index(replaced)
    return (*entries[:index], own, *entries[index + 1 :])


def extend(challenge: Challenge, **parameters: str) -> Challenge:
    """Return *challenge* with *parameters* after, or in the place of, its own."""
    kept = {name: value for name, value in challenge.parameters if name.lower() not in parameters}
    return Challenge(challenge.scheme, **kept, **parameters)


def _quote(value: str) -> str:
    # quoted-string, RFC 9110 section 5.6.4.
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
