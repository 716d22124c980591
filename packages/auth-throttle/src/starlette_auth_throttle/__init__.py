"""Limits on failed logins, in memory and shared over Redis."""

__all__: list[str] = []
