"""The headers and cookies of every answer: pages and API, to people and strangers, good and bad."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

from portal.access.models import User
from portal.embedded.servers import DATABASE, join_broker, join_postgres
from portal.secrets.master import new_key_line

ROOT = Path(__file__).resolve().parents[2]
IN_PRODUCTION = """
import json
from django.contrib.auth import SESSION_KEY
from django.test import Client
import portal.wsgi
from django.conf import settings
answers = []
for path in ("/accounts/login/", "/admin/", "/api/v1/me/", "/api/v1/nothing/", "/nothing/"):
    client = Client(headers={"host": "quell.example"})
    answer = client.get(path, secure=True)
    cookies = [each.OutputString() for each in answer.cookies.values()]
    answers.append([path, answer.status_code, dict(answer.headers), cookies])
plain = Client(headers={"host": "quell.example"}).get("/accounts/login/")
print(json.dumps({"answers": answers, "plain": [plain.status_code, plain["Location"]],
                  "names": [settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME],
                  "flags": [settings.SESSION_COOKIE_SECURE, settings.SESSION_COOKIE_HTTPONLY,
                            settings.SESSION_COOKIE_SAMESITE, settings.SESSION_COOKIE_PATH,
                            settings.SESSION_COOKIE_DOMAIN]}))
"""


def check(path: str, headers: Mapping[str, str]) -> None:
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy, path
    assert "unsafe" not in policy, path
    assert headers["X-Content-Type-Options"] == "nosniff", path
    assert headers["Referrer-Policy"] == "same-origin", path
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin", path
    assert headers["X-Frame-Options"] == "DENY", path
    assert "camera=()" in headers["Permissions-Policy"], path
    assert headers["Cache-Control"] == "no-store", path


def routes(patterns: Any = None, namespace: str = "") -> Iterator[str]:
    """Every route that has a name, with an unknown id wherever it wants one."""
    for pattern in patterns or get_resolver().url_patterns:
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, f"{pattern.namespace}:" if pattern.namespace else namespace)
        elif isinstance(pattern, URLPattern) and pattern.name:
            values = dict.fromkeys(pattern.pattern.regex.groupindex, "x")
            for value in (None, str(uuid4()), 1):
                given = {name: value or values[name] for name in values}
                try:
                    yield reverse(f"{namespace}{pattern.name}", kwargs=given)
                except NoReverseMatch:
                    continue
                break


@pytest.mark.django_db
def test_every_route_answers_with_all_of_them(pia: User, browse: Callable[[User], Client]) -> None:
    found = sorted(set(routes()))
    assert len(found) > 80
    for client in (browse(pia), Client()):
        client.raise_request_exception = False
        for path in found:
            if "logout" not in path:
                check(path, client.get(path).headers)


def test_static_files_may_be_kept() -> None:
    assert "no-store" not in Client().get("/static/quell/portal.css").headers.get("Cache-Control", "")


@pytest.mark.process
def test_production_adds_hsts_and_binds_its_cookies_to_the_host() -> None:
    environment = {
        **os.environ,
        "DATABASE_URL": join_postgres().url("portal_app", DATABASE),
        "BROKER_URL": join_broker(),
        "QUELL_DEVELOPMENT": "0",
        "SECRET_KEY": "k" * 30 + "0123456789abcdefghijklmnop",
        "ALLOWED_HOSTS": "quell.example",
        "MASTER_KEYS": new_key_line(),
        "AUDIT_SEAL_FILE": "/dev/null",
        "AUDIT_SEALING_KEY_FILE": "/dev/null",
    }
    ended = subprocess.run(
        [sys.executable, "-c", IN_PRODUCTION], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    told = json.loads(ended.stdout.splitlines()[-1])
    for path, _status, headers, cookies in told["answers"]:
        check(path, headers)
        assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
        for cookie in cookies:
            assert cookie.startswith("__Host-"), path
            assert "Secure" in cookie, path
            assert "SameSite=Lax" in cookie, path
            assert "Path=/" in cookie, path
            assert "Domain" not in cookie, path
    assert [path for path, _status, _headers, cookies in told["answers"] if cookies]
    assert told["names"] == ["__Host-quell_session", "__Host-quell_csrf"]
    assert told["flags"] == [True, True, "Lax", "/", None]
    assert told["plain"] == [301, "https://quell.example/accounts/login/"]
