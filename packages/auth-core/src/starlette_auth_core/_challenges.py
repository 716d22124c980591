"""The challenges of a response, RFC 9110 section 11.6.1."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ._grammar import is_token

__all__ = ["Challenge", "add_parameters"]

_PRINTABLE_ASCII = re.compile(r"[ -~]*")


@dataclass(frozen=True, slots=True, init=False)
class Challenge:
    """A scheme and its parameters, such as `Basic realm="Restricted", charset="UTF-8"`.

    Args:
        scheme: The name of the authentication scheme, a token of RFC 9110 section 5.6.2.
        **parameters: The parameters, sent in this order as quoted strings, as RFC 9110 section
            11.5 demands of `realm` and allows for all.

    Raises:
        ValueError: If the scheme or a parameter's name is not a token, a name occurs twice
            (names are case-insensitive), or a value holds anything but printable ASCII: control
            characters would split the header, and other text has no agreed encoding there.
    """

    scheme: str
    parameters: tuple[tuple[str, str], ...]

    def __init__(self, scheme: str, **parameters: str) -> None:
        if not is_token(scheme):
            raise ValueError(f"invalid scheme {scheme!r} (must be an RFC 9110 token)")
        for name, value in parameters.items():
            if not is_token(name):
                raise ValueError(f"invalid parameter name {name!r} (must be an RFC 9110 token)")
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


def add_parameters(
    challenges: Iterable[Challenge], scheme: str, parameters: Mapping[str, str]
) -> tuple[Challenge, ...]:
    """Return *challenges* where the first one of *scheme* says *parameters* too.

    They take the place of its own of the same name, and the others come after these. Where none is
    of that scheme, nothing is added. The names in *parameters* are in lower case.
    """
    entries = list(challenges)
    for position, entry in enumerate(entries):
        if entry.scheme.lower() == scheme.lower():
            added = dict(parameters)
            kept = {name: added.pop(name.lower(), value) for name, value in entry.parameters}
            entries[position] = Challenge(entry.scheme, **kept, **added)
            break
    return tuple(entries)


def _quote(value: str) -> str:
    # quoted-string, RFC 9110 section 5.6.4.
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
