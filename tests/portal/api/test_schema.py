"""The OpenAPI schema: clean, served, and honest about errors and keys."""

import json

import pytest
from django.core.management import call_command


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict:
    file = tmp_path_factory.mktemp("schema") / "schema.json"
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", "--file", str(file))
    return dict(json.loads(file.read_text()))


def test_every_operation_says_what_it_does_and_that_strangers_must_sign_in(schema):
    operations = [operation for path in schema["paths"].values() for operation in path.values()]

    assert schema["openapi"].startswith("3.1")
    assert len(operations) > 20
    assert all(operation.get("description") for operation in operations)
    assert all("application/problem+json" in operation["responses"]["401"]["content"] for operation in operations)


def test_every_post_that_creates_or_decides_takes_an_idempotency_key(schema):
    posts = [path["post"] for path in schema["paths"].values() if "post" in path]

    assert posts
    for post in posts:
        if post["operationId"] in (
            "actions_result_create",
            "exceptions_preview_create",
            "exceptions_import_preview_create",
        ):
            continue  # a link is handed over once and never stored; a preview makes nothing
        assert "Idempotency-Key" in [parameter["name"] for parameter in post["parameters"]], post["operationId"]


def test_the_schema_is_served(ren, browse):
    answer = browse(ren).get("/api/v1/schema/")

    assert answer.status_code == 200
    assert b"/api/v1/actions/" in answer.content
