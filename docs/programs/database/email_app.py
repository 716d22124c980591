from app import User, hasher, lifespan, protected
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware
from starlette_auth_orm import ModelBasicAuth


class EmailAuth(ModelBasicAuth[User]):
    async def find_user(self, username: str) -> User | None:
        # The app stores addresses in lower case.
        return await self.find_by("email", username.lower())


backend = EmailAuth(User, hasher=hasher, active_field="is_active")
app = Starlette(
    routes=[Route("/protected", protected)],
    middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
    lifespan=lifespan,
)
