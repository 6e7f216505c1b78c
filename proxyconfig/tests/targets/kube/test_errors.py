"""The error table: which answer is which error, with the words that people see."""

import json

import pytest
import urllib3

from proxyconfig.domain.conditions import NEXT_STEP, Reason
from proxyconfig.targets.kube.errors import (
    Answer,
    ObjectFailedError,
    ObjectRefusedError,
    from_answer,
    from_exception,
)
from tenants.errors import PermanentError, TransientError

SUBJECT = "HTTPRoute acme-prod/web"
WEBHOOK = 'Internal error occurred: failed calling webhook "v.example": connection refused'
POLICY = "ValidatingAdmissionPolicy 'safe' with binding 'safe' denied request: not yours"
HOOK_DENIES = 'admission webhook "v.example" denied the request: no'
CONFLICT = [
    {"reason": "FieldManagerConflict", "message": 'conflict with "argo" using v1', "field": field}
    for field in (".spec.hostnames", ".spec.rules")
]


def answer(status: int, message: str, **details: object) -> Answer:
    """A Status object, as the API server sends it."""
    return Answer(status, json.dumps({"message": message, "details": details}).encode())


@pytest.mark.parametrize(
    ("status", "message", "error", "reason"),
    [
        (401, "Unauthorized", PermanentError, Reason.CREDENTIAL_REFUSED),
        (403, 'User "x" cannot patch resource', ObjectFailedError, Reason.FORBIDDEN),
        (403, "exceeded quota: small", ObjectFailedError, Reason.QUOTA_EXCEEDED),
        (
            403,
            "unable to create new content in namespace a because it is being terminated",
            ObjectFailedError,
            Reason.NAMESPACE_TERMINATING,
        ),
        (403, POLICY, ObjectRefusedError, Reason.REFUSED),
        (422, POLICY, ObjectRefusedError, Reason.REFUSED),
        (400, HOOK_DENIES, ObjectRefusedError, Reason.REFUSED),
        (404, 'namespaces "a" not found', ObjectFailedError, Reason.NAMESPACE_MISSING),
        (404, "the server could not find it", ObjectFailedError, Reason.KIND_MISSING),
        (409, "the object has been modified", ObjectFailedError, Reason.CHANGED_MEANWHILE),
        (409, "object is being deleted: x", ObjectFailedError, Reason.BEING_DELETED),
        (410, "too old resource version", TransientError, Reason.CHANGED_MEANWHILE),
        (413, "limit is 3145728", ObjectRefusedError, Reason.REFUSED),
        (415, "unsupported media type", ObjectRefusedError, Reason.REFUSED),
        (422, "spec.port: too large", ObjectRefusedError, Reason.REFUSED),
        (422, 'metadata.uid: Invalid value: "a": field is immutable', ObjectFailedError, None),
        (429, "too many requests", TransientError, Reason.THROTTLED),
        (500, "failed to create typed patch object", ObjectRefusedError, Reason.REFUSED),
        (500, WEBHOOK, ObjectFailedError, Reason.WEBHOOK_UNAVAILABLE),
        (500, "etcdserver: leader changed", ObjectFailedError, Reason.SERVER_ERROR),
        (503, "shutting down", TransientError, Reason.SERVER_ERROR),
        (504, "timeout", TransientError, Reason.SERVER_ERROR),
    ],
)
def test_answer_is_an_error_with_a_reason_and_a_next_step(status, message, error, reason):
    found = from_answer(answer(status, message), SUBJECT)

    assert type(found) is error
    wanted = reason or Reason.CHANGED_MEANWHILE
    assert found.data == {"reason": wanted.value}
    assert wanted in NEXT_STEP
    if status != 401:
        assert found.message.startswith(SUBJECT)
        assert message in found.message


def test_conflict_names_manager_and_fields():
    found = from_answer(answer(409, "Apply failed", causes=CONFLICT), SUBJECT)

    assert type(found) is ObjectRefusedError
    assert found.data == {"reason": "Conflict"}
    assert found.message == f'{SUBJECT}: spec.hostnames, spec.rules are managed by "argo".'


@pytest.mark.parametrize(("asked", "seconds"), [("7", 7.0), ("", 1.0), ("x", 1.0), ("900", 60.0)])
def test_throttled_call_waits_as_long_as_the_server_asks(asked, seconds):
    found = from_answer(Answer(429, b"Too many requests", {"Retry-After": asked}), SUBJECT)

    assert isinstance(found, TransientError)
    assert found.retry_after_seconds == seconds
    assert "429 (too many requests)" in found.message


def test_plain_text_404_is_a_missing_kind():
    found = from_answer(Answer(404, b"404 page not found\n"), SUBJECT)

    assert found.message == f"{SUBJECT}: the cluster does not serve this kind."


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (urllib3.exceptions.SSLError("certificate verify failed"), PermanentError, "Certificate"),
        (urllib3.exceptions.ReadTimeoutError(None, "", "slow"), TransientError, "TimedOut"),
        (urllib3.exceptions.ProtocolError("aborted"), TransientError, "ProxyUnreachable"),
        (ConnectionResetError(104, "Connection reset"), TransientError, "ProxyUnreachable"),
    ],
)
def test_call_without_an_answer_names_the_server(error, kind, reason):
    found = from_exception(error, "https://10.0.0.1")

    assert type(found) is kind
    assert str(found.data["reason"]).startswith(reason)
    assert "https://10.0.0.1" in found.message
