"""Calls to one API server: JSON over a pool of TLS connections, each with time limits.

Errors are ours (``errors``); nothing of the library passes this module.
"""

import json
import os
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import urllib3

from proxyconfig.domain.conditions import Reason
from proxyconfig.targets.kube import errors
from proxyconfig.targets.kube.connection import Connection
from proxyconfig.targets.kube.discovery import Discovery, ServedKind
from tenants.errors import PermanentError

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
_APPLY = "application/apply-patch+yaml"  # JSON is YAML.
_JSON = "application/json"
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
# As many threads of one worker may speak to one cluster without a new handshake for each call.
_POOL_SIZE = 16
_MOST_CLIENTS = 64

# Any: objects as the API server's JSON has them.
Object = dict[str, Any]


class Client:
    """One API server as one identity. For many threads; never across a fork."""

    def __init__(self, connection: Connection) -> None:
        self._server = connection.server
        self._pool = _pool(connection)
        token = connection.token
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.discovery = Discovery(self.get)

    def get(self, path: str, *, subject: str = "") -> Object | None:
        """One JSON object; None where there is nothing."""
        answer = self._call("GET", path)
        if answer.status == 404:
            return None
        return _checked(answer, subject or path)

    def read(self, kind: ServedKind, *, version: str, namespace: str, name: str) -> Object | None:
        """One whole object; None where there is none."""
        path = kind.path(version=version, namespace=namespace, name=name)
        return self.get(path, subject=f"{kind.kind} {namespace}/{name}")

    def metadata(self, kind: ServedKind, *, selector: str, namespace: str = "") -> Sequence[Object]:
        """The ``metadata`` of all objects that a label selector chooses.

        Args:
            namespace: "" for all.

        Raises:
            ObjectFailedError: Forbidden, or the kind is gone.
        """
        path = f"{kind.path(namespace=namespace)}?{urlencode({'labelSelector': selector})}"
        answer = self._call("GET", path, accept=_METADATA)
        listed = _checked(answer, f"List of {kind.kind}")
        return [cast("Object", item["metadata"]) for item in listed.get("items") or ()]

    def apply(
        self,
        kind: ServedKind,
        body: Mapping[str, Any],
        *,
        manager: str,
        is_forced: bool = False,
        is_dry_run: bool = False,
    ) -> Object:
        """Server-side apply; the object as it is after that.

        Args:
            body: the whole of what ``manager`` wants, with apiVersion, kind and metadata.
            is_forced: take fields over from other managers.
            is_dry_run: only ask what would come of it.

        Raises:
            ObjectFailedError, ObjectRefusedError: this object was not taken.
        """
        metadata = body["metadata"]
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        version = str(body["apiVersion"]).rpartition("/")[2]
        query = {"fieldManager": manager, "fieldValidation": "Strict"}
        if is_forced:
            query["force"] = "true"
        if is_dry_run:
            query["dryRun"] = "All"
        path = kind.path(version=version, namespace=namespace, name=name)
        answer = self._call("PATCH", f"{path}?{urlencode(query)}", body, content_type=_APPLY)
        return _checked(answer, f"{kind.kind} {namespace}/{name}")

    def delete(self, kind: ServedKind, *, namespace: str, name: str, uid: str) -> Object | None:
        """Delete the object that has this uid; None when it is gone, else what it waits for.

        Raises:
            ObjectFailedError: another object has the name by now, among others.
        """
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}}
        answer = self._call("DELETE", kind.path(namespace=namespace, name=name), options)
        if answer.status == 404:
            return None
        left = _checked(answer, f"{kind.kind} {namespace}/{name}")
        return None if left.get("kind") == "Status" else left

    def may(self, group: str, resource: str, verb: str) -> bool:
        """True when this identity may do ``verb`` to a resource (plural) in all namespaces."""
        attributes = {"group": group, "resource": resource, "verb": verb}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = _checked(self._call("POST", path, review), "Review of rights")
        return bool(answer["status"]["allowed"])

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        accept: str = _JSON,
        content_type: str = _JSON,
    ) -> errors.Answer:
        headers = {**self._headers, "Accept": accept, "Content-Type": content_type}
        try:
            response = self._pool.request(
                method,
                self._server + path,
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
                retries=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise errors.from_exception(error, self._server) from error
        return errors.Answer(response.status, response.data, response.headers)


def _checked(answer: errors.Answer, subject: str) -> Object:
    if answer.status >= 300:
        raise errors.from_answer(answer, subject)
    return answer.document


def client_for(connection: Connection) -> Client:
    """The client of a connection, made once in each process: its pool and discovery are kept.

    Of one server there is the newest: with another credential the old one is forgotten.
    """
    key = (os.getpid(), connection.server)
    known = _CLIENTS.get(key)
    if known is None or known[0] != connection:
        if len(_CLIENTS) >= _MOST_CLIENTS:
            _CLIENTS.clear()
        known = _CLIENTS[key] = (connection, Client(connection))
    return known[1]


# By process and server: a pool does not survive a fork.
_CLIENTS: dict[tuple[int, str], tuple[Connection, Client]] = {}


def _pool(connection: Connection) -> urllib3.PoolManager:
    from kubernetes.client import ApiClient, Configuration  # noqa: PLC0415 - slow import

    configuration = Configuration(host=connection.server)
    configuration.connection_pool_maxsize = _POOL_SIZE
    pool: urllib3.PoolManager = ApiClient(configuration).rest_client.pool_manager
    for key in ("cert_reqs", "ca_certs", "ca_cert_data", "cert_file", "key_file"):
        pool.connection_pool_kw.pop(key, None)
    # One context for all connections: certificates are read once, and are left in no file.
    pool.connection_pool_kw["ssl_context"] = _tls(connection)
    return pool


def _no_password() -> str:
    """Without this, OpenSSL would ask at the worker's terminal."""
    raise ValueError("the client key has a passphrase; give one without")


def _tls(connection: Connection) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=connection.certificate_authority or None)
        if connection.client_certificate:
            with tempfile.TemporaryDirectory(prefix="sluice-") as folder:  # Mode 0700.
                pair = Path(folder) / "pair.pem"
                pair.write_text(f"{connection.client_certificate}\n{connection.client_key}")
                context.load_cert_chain(pair, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise PermanentError(
            f"{connection.server}: the connection's certificates cannot be used: {error}.",
            data={"reason": Reason.CERTIFICATE_REFUSED.value},
        ) from error
    return context
