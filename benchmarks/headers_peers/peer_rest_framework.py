"""Django REST framework's `BasicAuthentication` and `TokenAuthentication`, on its own models."""

import os
import tempfile
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from headers_cases import TOKENS, USERS
from serving_wsgi import serve_wsgi

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": Path(os.environ.get("PEER_FOLDER", tempfile.gettempdir())) / "django.sqlite3",
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "rest_framework",
        "rest_framework.authtoken",
    ],
    # A fast one: the benchmark compares headers, not times.
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of a server that is gone in a minute",
)
django.setup()

# Django imports models only after it has its settings.
from django.contrib.auth.models import User  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.authentication import (  # noqa: E402
    BasicAuthentication,
    TokenAuthentication,
)
from rest_framework.authtoken.models import Token  # noqa: E402
from rest_framework.permissions import IsAuthenticated  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class BearerAuthentication(TokenAuthentication):  # type: ignore[misc]  # it has no types
    keyword = "Bearer"


class Protected(APIView):  # type: ignore[misc]  # it has no types
    permission_classes = [IsAuthenticated]

    def get(self, request: Request) -> Response:
        return Response(request.user.get_username())


urlpatterns = [
    path("basic", Protected.as_view(authentication_classes=[BasicAuthentication])),
    path("bearer", Protected.as_view(authentication_classes=[BearerAuthentication])),
]


def fill() -> None:
    call_command("migrate", verbosity=0)
    for name, password in USERS.items():
        user = User(username=name)
        user.set_password(password)
        user.save()
    for token, name in TOKENS.items():
        Token.objects.create(key=token, user=User.objects.create(username=f"token of {name}"))


if __name__ == "__main__":
    fill()
    from django.core.wsgi import get_wsgi_application
    from django.db import connections

    connections.close_all()  # The worker is another process.
    serve_wsgi(get_wsgi_application())
