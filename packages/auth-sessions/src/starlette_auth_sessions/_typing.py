"""Type variables that have a default, which Python before 3.13 lacks."""

import sys
from typing import Any

# Which one runs is not for tests to choose.
if sys.version_info >= (3, 13):  # pragma: no cover
    from typing import TypeVar
else:  # pragma: no cover
    from typing_extensions import TypeVar

__all__ = ["RowT", "UserT"]

#: The type of an app's users.
UserT = TypeVar("UserT", default=Any)
#: The type of a store's rows.
RowT = TypeVar("RowT", default=Any)
