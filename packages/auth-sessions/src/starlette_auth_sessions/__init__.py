"""Cookie sessions that the server can end."""

__all__: list[str] = []
