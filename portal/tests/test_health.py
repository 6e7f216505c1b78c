import pytest
from django.test import Client


def test_livez_needs_nothing(client):
    response = client.get("/livez")

    assert (response.status_code, response.content) == (200, b"ok")


def test_readyz_names_each_service(db, services, client):
    response = client.get("/readyz")

    assert (response.status_code, response.json()) == (200, {"database": "ok", "redis": "ok"})
    assert "no-store" in response["Cache-Control"]


def test_readyz_says_which_service_does_not_answer(db, client, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {"database": "ok", "redis": "no answer (ConnectionError)"}


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_are_read_only(db, path):
    assert Client().post(path).status_code == 405
