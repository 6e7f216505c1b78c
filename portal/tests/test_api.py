"""The REST API's description and its viewers."""

from io import StringIO
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.core.management import call_command
from django.test import Client

COMMITTED = Path(settings.BASE_DIR) / "docs" / "reference" / "openapi.yaml"


def test_committed_description_is_what_the_code_says():
    out = StringIO()
    call_command("spectacular", "--fail-on-warn", "--validate", stdout=out)

    assert COMMITTED.read_text() == out.getvalue(), (
        "The REST API changed. Write its description anew:"
        " python manage.py spectacular --file docs/reference/openapi.yaml"
    )


def test_every_operation_describes_its_errors():
    paths = yaml.safe_load(COMMITTED.read_text())["paths"]

    silent = [
        (path, method)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if not {"400", "401", "403", "404"} <= set(operation["responses"])
    ]
    assert silent == []
    assert "/api/v1/tenants/{tenant}/segments" in paths


def test_description_is_served(db, client):
    response = client.get("/api/schema/")

    assert response.status_code == 200
    assert yaml.safe_load(response.content)["openapi"] == "3.1.0"


@pytest.mark.parametrize("path", ["/api/docs/", "/api/redoc/"])
def test_viewer_has_no_inline_script_and_asks_no_stranger(db, path):
    response = Client().get(path)

    page = response.content.decode()
    policy = response["Content-Security-Policy"]
    assert response.status_code == 200
    assert "<script>" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert "script-src 'self';" in f"{policy};"
    assert "'unsafe-inline'" in policy.partition("style-src")[2].partition(";")[0]


def test_other_pages_keep_the_strict_policy(db, client):
    policy = client.get("/login/")["Content-Security-Policy"]

    assert "unsafe" not in policy


def test_problems_point_to_a_page_that_explains_them(db, client):
    problem = client.get("/api/v1/tenants").json()

    page = b"".join(client.get(problem["type"].partition("#")[0]).streaming_content).decode()

    assert problem["title"] in page
