"""Tests of storages, to inherit: each needs two fixtures, and anyio's plugin of pytest runs them.

pytest is not a dependency of this package, so install it where you test. The tests run on asyncio
and trio, unless a fixture `anyio_backend` of yours says otherwise.
"""

try:
    import pytest
except ImportError as error:
    raise ImportError(
        'starlette_auth_core.testing needs pytest: run pip install "pytest>=8.4"'
    ) from error

pytest.register_assert_rewrite(
    "starlette_auth_core._password_contract", "starlette_auth_core._token_contract"
)

# The asserts of both are rewritten first.
from ._password_contract import (  # noqa: E402
    ContractHasher,
    PasswordStorageContract,
    StoredUsers,
)
from ._token_contract import TokenStoreContract  # noqa: E402

__all__ = ["ContractHasher", "PasswordStorageContract", "StoredUsers", "TokenStoreContract"]
