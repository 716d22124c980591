"""Type variables that have a default, which Python before 3.13 lacks."""

import sys

# Which one runs is not for tests to choose.
if sys.version_info >= (3, 13):  # pragma: no cover
    from typing import TypeVar
else:  # pragma: no cover
    from typing_extensions import TypeVar

__all__ = ["TypeVar"]
