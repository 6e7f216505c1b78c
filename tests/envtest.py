"""A real Kubernetes API server for tests of any app: etcd and kube-apiserver of the session's own.

No controller runs beside it: what a controller would write (status, a namespace's end) a test
writes itself. Tests ask for ``kube_server``, which starts with the first that does, and for a
``kube_namespace`` of their own.
"""

import base64
import contextlib
import functools
import itertools
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

from deploy.local import tether
from deploy.local.ports import PortBook

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "envtest"
GATEWAY_CRDS = SHARED / "crds" / "gateway-api-v1.6.1-standard.yaml"
START_SECONDS = 60.0
_DIES_WITH_US = (sys.executable, "-I", "-S", str(Path(tether.__file__)))
_KINDS_SERVED = "/apis/gateway.networking.k8s.io/v1/httproutes?limit=1"


@dataclass(frozen=True)
class Reply:
    """What the API server answered; ``body`` is text where it is no JSON."""

    status: int
    body: Any


class ApiServer:
    """One etcd and one kube-apiserver on loopback, with their data in a folder of their own.

    Three people have tokens: ``admin`` may do everything; ``worker`` and ``nobody`` what a test
    grants them.
    """

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="sluice-kube-"))
        ports = PortBook(self._folder / "ports.json")
        names = ("api", "etcd", "peer")
        self._port, self._etcd_port, self._peer_port = (ports.claim(name) for name in names)
        self._tokens = {name: secrets.token_hex(24) for name in ("admin", "worker", "nobody")}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._numbers = itertools.count(1)

    @property
    def address(self) -> str:
        """Base URL."""
        return f"https://127.0.0.1:{self._port}"

    @property
    def certificate_authority(self) -> str:
        """PEM of the certificate that the server shows."""
        return (self._folder / "certs" / "apiserver.crt").read_text()

    def token(self, user: str = "admin") -> str:
        """The bearer token of a user."""
        return self._tokens[user]

    def kubeconfig(self, user: str = "admin") -> str:
        """A self-contained kubeconfig."""
        authority = self.certificate_authority.encode()
        cluster = {"server": self.address, "certificate-authority-data": _base64(authority)}
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "envtest",
                "clusters": [{"name": "envtest", "cluster": cluster}],
                "users": [{"name": user, "user": {"token": self._tokens[user]}}],
                "contexts": [{"name": "envtest", "context": {"cluster": "envtest", "user": user}}],
            }
        )

    def start(self) -> None:
        """Start both and wait until they are ready; a second start goes on with the same data."""
        if "etcd" not in self._processes:
            self._prepare()
            self._run("etcd", self._etcd_arguments())
        self._run("kube-apiserver", self._server_arguments())
        self._wait("/readyz")

    def kill(self) -> None:
        """End the API server as SIGKILL does; etcd goes on."""
        process = self._processes.pop("kube-apiserver", None)
        if process is not None:
            process.kill()  # Asked politely it waits 20 s for its watchers.
            process.wait()

    def stop(self) -> None:
        """End both, etcd last, and remove their data."""
        self.kill()
        etcd = self._processes.pop("etcd", None)
        if etcd is not None:
            etcd.kill()
            etcd.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def install(self, manifest: Path, *, served: str) -> None:
        """Create what a file of definitions holds, and wait until a path of it is served."""
        config = self._folder / "kubeconfig"
        config.write_text(self.kubeconfig())
        command = [str(self._binaries / "kubectl"), f"--kubeconfig={config}", "create", "-f"]
        subprocess.run([*command, str(manifest)], check=True, capture_output=True)
        self._wait(served)

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        user: str = "admin",
        content_type: str = "application/json",
    ) -> Reply:
        """One request, as somebody beside Sluice would make it."""
        answer = self._pool.request(
            method,
            self.address + path,
            body=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self._tokens[user]}",
                "Content-Type": content_type,
            },
            timeout=urllib3.Timeout(connect=5, read=30),
            retries=False,
        )
        text = answer.data.decode()
        with contextlib.suppress(ValueError):
            return Reply(answer.status, json.loads(text))
        return Reply(answer.status, text)

    def make_namespace(self, beginning: str = "test") -> str:
        """A new namespace; its name."""
        name = f"{beginning}-{next(self._numbers)}"
        made = self.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        assert made.status == 201, made
        return name

    @functools.cached_property
    def _pool(self) -> urllib3.PoolManager:
        return urllib3.PoolManager(ca_certs=str(self._folder / "certs" / "apiserver.crt"))

    def _prepare(self) -> None:
        lines = (f"{token},{name},{name}" for name, token in self._tokens.items())
        groups = {"admin": ",system:masters"}
        rows = [line + groups.get(line.rpartition(",")[2], "") for line in lines]
        (self._folder / "tokens.csv").write_text("\n".join(rows) + "\n")
        key = str(self._folder / "sa.key")
        make = ["openssl", "genrsa", "-out", key, "2048"]
        subprocess.run(make, check=True, capture_output=True)

    def _etcd_arguments(self) -> list[str]:
        client, peer = (f"http://127.0.0.1:{port}" for port in (self._etcd_port, self._peer_port))
        return [
            f"--data-dir={self._folder / 'etcd'}",
            "--unsafe-no-fsync",
            "--log-level=warn",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        ]

    def _server_arguments(self) -> list[str]:
        key = self._folder / "sa.key"
        return [
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--cert-dir={self._folder / 'certs'}",
            "--authorization-mode=RBAC",
            f"--token-auth-file={self._folder / 'tokens.csv'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--disable-admission-plugins=ServiceAccount",
            "--allow-privileged=true",
        ]

    def _run(self, name: str, arguments: list[str]) -> None:
        with self._log_of(name).open("ab") as log:
            command = [*_DIES_WITH_US, str(os.getpid()), str(int(signal.SIGKILL)), "-"]
            command += [str(self._binaries / name), *arguments]
            self._processes[name] = subprocess.Popen(command, stdout=log, stderr=log)

    def _wait(self, path: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._answers(path):
            for name, process in self._processes.items():
                assert process.poll() is None, f"{name} ended: {self._last_words(name)}"
            assert time.monotonic() < deadline, f"{path}: {self._last_words('kube-apiserver')}"
            time.sleep(0.05)

    def _answers(self, path: str) -> bool:
        if not (self._folder / "certs" / "apiserver.crt").exists():
            return False
        try:
            return self.call("GET", path).status == 200
        except (urllib3.exceptions.HTTPError, OSError):
            return False

    def _log_of(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _last_words(self, name: str) -> str:
        return self._log_of(name).read_text()[-2000:]


@pytest.fixture(scope="session")
def kube_server() -> Iterator[ApiServer]:
    """An API server that knows the standard kinds of the Gateway API."""
    if not GATEWAY_CRDS.exists():
        _absent(f"the Gateway API's definitions are not at {GATEWAY_CRDS}")
    server = ApiServer(_binaries())
    try:
        server.start()
        server.install(GATEWAY_CRDS, served=_KINDS_SERVED)
        yield server
    finally:
        server.stop()


@pytest.fixture
def kube_namespace(kube_server) -> str:
    """A namespace of this test's own."""
    return kube_server.make_namespace()


def _binaries() -> Path:
    """The folder of etcd, kube-apiserver and kubectl."""
    named = os.environ.get("KUBEBUILDER_ASSETS", "")
    if named and (Path(named) / "kube-apiserver").exists():
        return Path(named)
    unpack = SHARED / "unpack"
    if unpack.exists():
        made = subprocess.run([str(unpack)], check=True, capture_output=True, text=True)
        return Path(made.stdout.strip())
    _absent(
        "no kube-apiserver and etcd on this machine: run `setup-envtest use -p path` and name the"
        " folder that it prints in KUBEBUILDER_ASSETS"
    )
    raise AssertionError  # For the type checker: both ways out of _absent raise.


def _absent(reason: str) -> None:
    if os.environ.get("REQUIRE_KUBE") == "1":
        pytest.fail(f"REQUIRE_KUBE=1, and {reason}")
    pytest.skip(reason)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
