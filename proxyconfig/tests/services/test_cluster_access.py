"""How a cluster is reached: saved encrypted, checked on a real API server."""

import json

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connection

from proxyconfig.models import ClusterAccess
from proxyconfig.models.access import AccessMethod, DriftPolicy
from proxyconfig.services import cluster_access
from proxyconfig.services.cluster_access import Wish
from tenants.domain.roles import PlatformRole
from tenants.errors import ForbiddenError, InvalidError
from tenants.models import AuditEntry, platform_scope, tenant_scope
from tenants.tests.factories import ClusterFactory
from tenants.tests.people import person

pytestmark = pytest.mark.django_db
GROUP = "gateway.networking.k8s.io"


@pytest.fixture(autouse=True)
def encrypted(settings):
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]


@pytest.fixture
def east():
    return ClusterFactory(name="east", flavour="gateway")


def connect(who, cluster, **values) -> None:
    with platform_scope("test"):
        actor = who.actor
    cluster_access.save(cluster, Wish(**values), actor=actor)


def saved() -> ClusterAccess:
    with platform_scope("test"):
        return ClusterAccess.objects.select_related("cluster").get()


def checked(cluster) -> ClusterAccess:
    cluster_access.check(cluster.pk)
    return saved()


def by_token(kube, user: str, **values) -> dict:
    return {
        "method": AccessMethod.TOKEN,
        "server": kube.address,
        "authority": kube.certificate_authority,
        "credential": kube.token(user),
        **values,
    }


def test_cluster_that_can_be_programmed_is_healthy(ada, east, broker, kube_server):
    connect(ada, east, method=AccessMethod.KUBECONFIG, credential=kube_server.kubeconfig())

    row = checked(east)

    assert row.is_healthy, row.problems
    assert row.version.startswith("v1.")
    assert [GROUP, "HTTPRoute", "v1"] in row.served


def test_credential_is_neither_kept_nor_recorded_in_the_clear(ada, east, broker, kube_server):
    connect(ada, east, **by_token(kube_server, "admin"))

    with platform_scope("test"), connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(a)::text FROM proxyconfig_clusteraccess a")
        stored = cursor.fetchone()[0]
        entry = AuditEntry.objects.get(event="cluster.connected")
    assert kube_server.token("admin") not in stored + json.dumps(entry.detail)
    assert entry.detail["credential"] == "new"
    with tenant_scope(1):
        assert not ClusterAccess.objects.exists()


def test_credential_that_is_left_empty_stays(ada, east, broker, kube_server):
    connect(ada, east, **by_token(kube_server, "admin"))
    connect(
        ada, east, **by_token(kube_server, "admin", credential="", drift_policy=DriftPolicy.REPORT)
    )

    assert checked(east).is_healthy
    assert saved().drift_policy == "report"


def test_saved_credential_is_sent_to_no_other_server(ada, east, broker, kube_server):
    connect(ada, east, **by_token(kube_server, "admin"))

    moved = by_token(kube_server, "admin", credential="", server="https://127.0.0.1:1")
    with pytest.raises(InvalidError, match="the API server is another one") as refused:
        connect(ada, east, **moved)

    assert list(refused.value.fields) == ["credential"]
    assert saved().server == kube_server.address


def test_missing_rights_are_named_by_resource_and_verb(ada, east, broker, kube_server):
    connect(ada, east, **by_token(kube_server, "nobody"))

    row = checked(east)

    missing = [problem["what"] for problem in row.problems]
    assert not row.is_healthy
    assert "Right to get, list, create, patch, delete httproutes" in missing
    assert f"httproutes.{GROUP}" in row.problems[1]["message"]


def test_missing_class_and_namespace_are_named(ada, east, broker, kube_server):
    wish = by_token(kube_server, "admin", gateway_class="none", proxy_namespaces=("nowhere",))
    connect(ada, east, **wish)

    assert [problem["what"] for problem in checked(east).problems] == [
        "GatewayClass none",
        "Namespace nowhere",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"server": "https://127.0.0.1:1"}, "cannot be reached: Connection refused"),
        ({"credential": "wrong"}, "refuses the credential"),
        ({"authority": ""}, "TLS handshake failed"),
    ],
)
def test_connection_that_fails_says_why(ada, east, broker, kube_server, change, said):
    connect(ada, east, **by_token(kube_server, "admin", **change))

    (problem,) = checked(east).problems
    assert problem["what"] == "Connection"
    assert said in problem["message"]


def test_check_that_breaks_is_shown_as_such(ada, east, broker, kube_server):
    connect(ada, east, **by_token(kube_server, "admin"))
    with platform_scope("test"):  # As a later version might have written it.
        ClusterAccess.objects.update(method="pigeon")

    with pytest.raises(ValueError, match="pigeon"):
        cluster_access.check(east.pk)

    row = saved()
    assert row.is_checked
    assert [problem["what"] for problem in row.problems] == ["Check"]


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"method": AccessMethod.TOKEN, "server": "https://127.0.0.1:1"}, "credential"),
        ({"method": AccessMethod.TOKEN, "server": "127.0.0.1", "credential": "x"}, "server"),
        ({"method": AccessMethod.KUBECONFIG, "credential": "a: b"}, "credential"),
        ({"method": AccessMethod.KUBECONFIG}, "credential"),
        (
            {
                "method": AccessMethod.TOKEN,
                "server": "https://127.0.0.1:1",
                "credential": "wrapped\nin the middle",
            },
            "server",
        ),
    ],
)
def test_what_reaches_nothing_is_refused_at_its_field(ada, east, wish, field):
    with pytest.raises(InvalidError) as refused:
        connect(ada, east, **wish)

    assert list(refused.value.fields) == [field]
    with platform_scope("test"):
        assert not ClusterAccess.objects.exists()


def test_only_administrators_connect_a_cluster(acme, east, broker):
    nora = person("nora", acme, None, platform_role=PlatformRole.NETOPS)

    with pytest.raises(ForbiddenError):
        connect(nora, east, method=AccessMethod.KUBECONFIG, credential="x")


def test_keys_are_replaced_without_entering_credentials_again(
    ada, east, broker, kube_server, settings, capsys
):
    connect(ada, east, **by_token(kube_server, "admin"))
    old = settings.ENCRYPTION_KEYS
    new = [Fernet.generate_key().decode()]
    settings.ENCRYPTION_KEYS = [*new, *old]
    call_command("rotate_encryption")
    settings.ENCRYPTION_KEYS = new

    assert "1" in capsys.readouterr().out
    assert checked(east).is_healthy
