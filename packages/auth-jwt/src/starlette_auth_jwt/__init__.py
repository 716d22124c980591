"""Bearer JWTs of other issuers, for apps and for MCP servers."""

__all__: list[str] = []
