"""The doors themselves, below Django."""

import asyncio
import json

import pytest
from asgiref.testing import ApplicationCommunicator

from portal import asgi

pytestmark = pytest.mark.django_db(transaction=True)
PART = b"x" * (1024 * 1024)


@pytest.mark.parametrize("door", [asgi.application, asgi.ingress])
def test_body_without_end_is_cut_off_before_anybody_has_proved_who_they_are(door):
    status, body = asyncio.run(_post_without_end(door))

    assert status == 413
    assert json.loads(body)["title"] == "request-too-large"


async def _post_without_end(door) -> tuple[int, bytes]:
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/v1/runs",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
    }
    client = ApplicationCommunicator(door, scope)
    for _ in range(asgi.MOST_BODY_BYTES // len(PART) + 1):
        await client.send_input({"type": "http.request", "body": PART, "more_body": True})
    start = await client.receive_output(timeout=30)
    body = await client.receive_output(timeout=30)
    await client.wait(timeout=30)
    return start["status"], body["body"]
