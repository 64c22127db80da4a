"""A route that asks nobody who they are does not get past the start."""

from typing import Any, cast

import pytest
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import URLPattern, include, path
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticatedOrReadOnly
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from portal.api.default_deny import check_routes, problems_of
from portal.api.permissions import SignedIn

urlpatterns: list[URLPattern] = []
OPEN_API_VIEWS: set[str] = set()
OTHER_PAGES: set[str] = set()


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def view_with(**attributes: Any) -> URLPattern:
    kind = cast(type[APIView], type("Here", (APIView,), attributes))
    return path("here/", kind.as_view())


def found(*patterns: Any, open_views: tuple[str, ...] = (), pages: tuple[str, ...] = ()) -> list[str]:
    return list(problems_of(patterns, open_views=open_views, pages=pages))


def test_every_route_of_the_portal_asks() -> None:
    assert check_routes() == []


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"permission_classes": []},
        {"permission_classes": [AllowAny]},
        {"permission_classes": [IsAuthenticatedOrReadOnly]},
        {"permission_classes": [SignedIn, AllowAny]},
        {"permission_classes": [SignedIn | AllowAny]},
        {"permission_classes": [SignedIn], "get_permissions": lambda self: []},
    ],
)
def test_a_view_of_the_api_that_may_stand_open_is_found(attributes: dict[str, Any]) -> None:
    [problem] = found(view_with(**attributes))
    assert "Here at here/" in problem


def test_a_view_that_names_a_permission_of_ours_or_is_listed_passes() -> None:
    assert found(view_with(permission_classes=[SignedIn])) == []
    assert found(view_with(), open_views=(f"{__name__}.Here",)) == []


def test_a_verb_that_loosens_its_resource_is_found() -> None:
    class Resource(ViewSet):
        permission_classes = [SignedIn]

        def verb(self, request: Any) -> None: ...

    assert found(path("x/", Resource.as_view({"get": "verb"}))) == []
    loosened: list[type[BasePermission]] = [AllowAny]
    assert len(found(path("x/", Resource.as_view({"get": "verb"}, permission_classes=loosened)))) == 1


def test_any_other_page_is_the_admins_or_listed() -> None:
    assert len(found(path("x/", page, name="x"))) == 1
    assert len(found(path("in/", include([path("x/", page, name="x")])))) == 1
    assert found(path("x/", page, name="x"), pages=("x",)) == []
    assert found(path("x/", admin.site.admin_view(page), name="x")) == []


def test_the_check_reads_the_url_configuration() -> None:
    urlpatterns[:] = [path("x/", page, name="x")]
    with override_settings(ROOT_URLCONF=__name__):
        [error] = check_routes()
    assert "OTHER_PAGES" in error.msg
