import unicodedata

from app import BasicAuth, User


def normalized(text: str) -> str:
    return unicodedata.normalize("NFC", text)


class NormalizingAuth(BasicAuth):
    async def verify(self, username: str, password: str) -> User | None:
        return await super().verify(normalized(username), normalized(password))
