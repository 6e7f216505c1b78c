"""How a cluster's API server is reached: address, whom to trust, and as whom.

A connection holds all that it needs: nothing is read from files later, and no program is run for a
credential, so that it means the same in every worker.
"""

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Self

import yaml

from tenants.errors import InvalidError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_LARGEST_KUBECONFIG = 1 << 20
_FLATTEN = "`kubectl config view --raw --flatten --minify` prints a kubeconfig that holds them."
_HOW_TO_GET_ONE = "Give the user a token: `kubectl create token` prints one for a service account."


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """An API server, and the credential shown to it: a token, or a client certificate with its key.

    Attributes:
        server: base URL, https.
        certificate_authority: PEM; "" trusts what the machine trusts.
        client_certificate: PEM.
        client_key: PEM.
    """

    server: str
    certificate_authority: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    client_certificate: str = field(default="", repr=False)
    client_key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Raise ``InvalidError`` for what cannot work."""
        if not self.server.startswith("https://"):
            _refuse(f"The server's address must begin with https://, and is {self.server!r}.")
        if bool(self.client_certificate) != bool(self.client_key):
            _refuse("A client certificate and its key belong together: one of them is missing.")
        if not self.token.isascii() or not all(map(str.isprintable, self.token)):
            _refuse("The token has a line break or another character that no token has.")
        pem = (self.certificate_authority, self.client_certificate, self.client_key)
        if not all(map(str.isascii, pem)):
            _refuse("A certificate or key is not PEM: it has characters beyond ASCII.")
        if not self.token and not self.client_certificate:
            _refuse(f"There is no credential. {_HOW_TO_GET_ONE}")

    @classmethod
    def from_kubeconfig(cls, text: str, context: str | None = None) -> Self:
        """What one context of a kubeconfig says.

        Args:
            context: by name; the current context when None.

        Raises:
            InvalidError: what is missing, or cannot be used here.
        """
        config = _parsed(text)
        name = context or str(config.get("current-context") or "")
        if not name:
            _refuse("The kubeconfig has no current-context: set one, or name a context.")
        chosen = _named(config, "contexts", "context", name)
        cluster = _named(config, "clusters", "cluster", str(chosen.get("cluster") or ""))
        user = _named(config, "users", "user", str(chosen.get("user") or ""))
        _check_cluster(cluster)
        _check_user(user)
        return cls(
            server=str(cluster.get("server") or "").rstrip("/"),
            certificate_authority=_decoded(cluster, "certificate-authority-data"),
            token=str(user.get("token") or ""),
            client_certificate=_decoded(user, "client-certificate-data"),
            client_key=_decoded(user, "client-key-data"),
        )

    @classmethod
    def in_cluster(cls, folder: Path = SERVICE_ACCOUNT) -> Self:
        """As the service account of the pod that this runs in; its token as it is now.

        Raises:
            InvalidError: this is no pod, or it has no service account.
        """
        host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
        port = os.environ.get("KUBERNETES_SERVICE_PORT", "")
        if not host or not port:
            _refuse("KUBERNETES_SERVICE_HOST is not set: Sluice does not run in a cluster here.")
        try:
            token = (folder / "token").read_text().strip()
            authority = (folder / "ca.crt").read_text()
        except OSError as error:
            message = (
                f"The pod's service account cannot be read: {error}. Set"
                " automountServiceAccountToken for it."
            )
            raise InvalidError(message) from error
        host = f"[{host}]" if ":" in host else host
        return cls(server=f"https://{host}:{port}", certificate_authority=authority, token=token)


def _parsed(text: str) -> dict[str, Any]:  # Any: YAML of somebody else's.
    if len(text) > _LARGEST_KUBECONFIG:
        _refuse("The kubeconfig has more than 1 MiB.")
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        # Its own words quote the line, which may be the credential's.
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise InvalidError(f"The kubeconfig is not valid YAML{where}.") from None
    if not isinstance(config, dict) or not isinstance(config.get("clusters"), list):
        _refuse("This is not a kubeconfig: it has no list of clusters.")
    return config


def _named(config: Mapping[str, Any], section: str, key: str, name: str) -> dict[str, Any]:
    entries = config.get(section)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") == name:
            found = entry.get(key)
            return found if isinstance(found, dict) else {}
    raise InvalidError(f"The kubeconfig has no {key} named {name!r}.")


def _check_cluster(cluster: Mapping[str, Any]) -> None:
    if not cluster.get("server"):
        _refuse("The kubeconfig's cluster has no server.")
    if cluster.get("insecure-skip-tls-verify"):
        _refuse(
            "The kubeconfig says insecure-skip-tls-verify: remove it and give the cluster's"
            " certificate-authority-data."
        )
    _check_no_files(cluster, "certificate-authority")
    for key in ("proxy-url", "tls-server-name"):
        if cluster.get(key):
            _refuse(f"The kubeconfig's {key} is not supported: name the server's own address.")


def _check_user(user: Mapping[str, Any]) -> None:
    for key in ("exec", "auth-provider"):
        if key in user:
            _refuse(f"The kubeconfig's user gets its credential from {key}. {_HOW_TO_GET_ONE}")
    for key in ("username", "as"):
        if user.get(key):
            _refuse(f"The kubeconfig's user has {key}, which is not supported. {_HOW_TO_GET_ONE}")
    _check_no_files(user, "client-certificate", "client-key", "tokenFile")


def _check_no_files(entry: Mapping[str, Any], *keys: str) -> None:
    for key in keys:
        if entry.get(key):
            _refuse(f"The kubeconfig's {key} names a file, which is not here. {_FLATTEN}")


def _decoded(entry: Mapping[str, Any], key: str) -> str:
    encoded = entry.get(key)
    if not encoded:
        return ""
    try:
        text = base64.b64decode(str(encoded), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    if "-----BEGIN" not in text:
        _refuse(f"The kubeconfig's {key} is not base64 of a PEM text.")
    return text


def _refuse(message: str) -> NoReturn:
    raise InvalidError(message)
