"""The stack that this kind of registration is taught with: Django, REST framework, django-redis, gunicorn. Both views
are reached by GET, as in that course; an SMS goes onto a list for a worker that is not here."""

import os
import secrets
from collections.abc import Callable
from typing import Any

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, models
from django.urls import path
from django_redis import get_redis_connection
from gunicorn.app.base import BaseApplication

THREADS, INTERVAL_S, EXPIRE_S = 4, 60, 300
_CACHE = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": os.environ["REDIS_URL"]}
settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=secrets.token_urlsafe(32),
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "rest_framework",
    ],
    # Those of a new project.
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["SQLITE"], "CONN_MAX_AGE": None}
    },
    CACHES={"default": _CACHE, "sms_code": _CACHE},
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

# These need the settings.
from rest_framework import serializers, status  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class User(models.Model):
    """An account."""

    mobile = models.CharField(max_length=15, unique=True)

    class Meta:
        app_label = "users"


class Number(serializers.Serializer):
    """A mobile number."""

    mobile = serializers.RegexField(r"^1[3-9][0-9]{9}$")


class MobileView(APIView):
    """Is it free?"""

    def get(self, request: Request, mobile: str) -> Response:
        """From the database."""
        number = Number(data={"mobile": mobile})
        number.is_valid(raise_exception=True)
        if User.objects.filter(mobile=mobile).count():
            return Response({"message": "手机号已经被注册过！"}, status=status.HTTP_400_BAD_REQUEST)
        return Response({"message": "ok"})


class SmsView(APIView):
    """Send a code."""

    def get(self, request: Request, mobile: str) -> Response:
        """The interval is read and then written, as there."""
        redis = get_redis_connection("sms_code")
        if User.objects.filter(mobile=mobile).count() or redis.get(f"interval_{mobile}"):
            return Response({"message": "对不起"}, status=status.HTTP_400_BAD_REQUEST)
        code = f"{secrets.randbelow(1_000_000):06d}"
        together = redis.pipeline()
        together.setex(f"sms_{mobile}", EXPIRE_S, code)
        together.setex(f"interval_{mobile}", INTERVAL_S, "_")
        together.rpush("celery", f"{mobile}:{code}")
        together.execute()
        return Response({"message": "发送短信成功！"})


urlpatterns = [
    path("user/mobile/<str:mobile>/", MobileView.as_view()),
    path("user/sms/<str:mobile>/", SmsView.as_view()),
]


class Gunicorn(BaseApplication):
    """One worker, as there is one core; threads, as its plain worker closes each connection after one answer."""

    def load_config(self) -> None:
        """In place of a file."""
        self.cfg.set("bind", "127.0.0.1:0")
        self.cfg.set("threads", THREADS)
        self.cfg.set("keepalive", 75)
        self.cfg.set("loglevel", "error")
        self.cfg.set("post_worker_init", _tell)

    def load(self) -> Callable[..., Any]:
        """The one application."""
        return get_wsgi_application()


def _tell(worker: Any) -> None:
    port = worker.sockets[0].getsockname()[1]
    print(f"Django is ready: http://127.0.0.1:{port}/", flush=True)


if __name__ == "__main__":
    with connection.schema_editor() as schema:
        schema.create_model(User)
    connection.close()
    Gunicorn().run()
