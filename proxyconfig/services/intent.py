"""Rows to intent, and back.

``build_intent`` is how a wish leaves the database; ``restore_rows`` is how an older wish, or the
current one after a refusal, becomes the rows again. Both run inside the caller's tenant scope.
"""

from django.db.models import Prefetch

from proxyconfig import models
from proxyconfig.domain.fields import Mode, PortRange, Protocol
from proxyconfig.domain.intent import (
    Backend,
    EgressPolicy,
    EgressRule,
    IngressPolicy,
    Intent,
    Listener,
    Segment,
    SnatPool,
    Subnet,
    VlanLink,
    VxlanLink,
    canonical,
)
from proxyconfig.services.restore import restore_rows
from tenants.models.segment import Segment as SegmentRow
from tenants.models.segment import SegmentKind, SnatAddress
from tenants.models.segment import Subnet as SubnetRow
from tenants.models.tenant import Namespace, Tenant

__all__ = ["SNAT_POOL", "build_intent", "listener_name", "restore_rows"]

# Rows know one pool for each tenant: all of its SNAT addresses.
SNAT_POOL = "default"
DEFAULT_VRF = "default"


def build_intent(tenant: Tenant) -> Intent:
    """What the tenant's rows say, in canonical order; nine queries, however many rows."""
    return canonical(
        Intent(
            tenant=tenant.slug,
            namespaces=_namespaces(tenant),
            segments=_segments(tenant),
            snat_pools=_snat_pools(tenant),
            listeners=_listeners(tenant),
            ingress_policies=_ingress_policies(tenant),
            egress_policies=_egress_policies(tenant),
        )
    )


def listener_name(row: models.Listener) -> str:
    """The listener's name in intents: protocol, address and port as one DNS label.

    It begins with a letter and ends with a digit for IPv6 too: ``http-2001-db8--1-443``.
    """
    address = row.virtual_address.address.replace(".", "-").replace(":", "-")
    return f"{row.protocol}-{address}-{row.port}"


def _namespaces(tenant: Tenant) -> tuple[str, ...]:
    # One name on two clusters is one namespace to the intent.
    names = Namespace.objects.filter(tenant=tenant).values_list("name", flat=True)
    return tuple(sorted(set(names)))


def _segments(tenant: Tenant) -> tuple[Segment, ...]:
    subnets = Prefetch("subnets", SubnetRow.objects.filter(tenant=tenant).order_by("prefix"))
    rows = SegmentRow.objects.filter(tenant=tenant).select_related("cluster")
    return tuple(_segment(row) for row in rows.prefetch_related(subnets))


def _segment(row: SegmentRow) -> Segment:
    cluster = row.cluster.name
    vlan = vxlan = None
    if row.kind == SegmentKind.VLAN:
        vlan = VlanLink(cluster=cluster, interface=row.trunk, tag=row.vlan_tag or 0)
    if row.kind == SegmentKind.VXLAN:
        vxlan = VxlanLink(cluster=cluster, vni=row.vni or 0)
    subnets = list(row.subnets.all())
    vrfs = {subnet.vrf for subnet in subnets} - {DEFAULT_VRF}
    return Segment(
        name=row.name,
        vlan=vlan,
        vxlan=vxlan,
        subnets=tuple(Subnet(cidr=subnet.prefix, gateway=subnet.gateway) for subnet in subnets),
        vrf=min(vrfs, default=None),
    )


def _snat_pools(tenant: Tenant) -> tuple[SnatPool, ...]:
    rows = SnatAddress.objects.filter(tenant=tenant).order_by("pk")
    addresses = tuple(rows.values_list("address", flat=True))
    return (SnatPool(name=SNAT_POOL, addresses=addresses),) if addresses else ()


def _listeners(tenant: Tenant) -> tuple[Listener, ...]:
    rows = models.Listener.objects.filter(tenant=tenant).select_related("virtual_address")
    return tuple(
        Listener(
            name=listener_name(row),
            virtual_address=row.virtual_address.address,
            port=row.port,
            protocol=Protocol(row.protocol),
        )
        for row in rows
    )


def _ingress_policies(tenant: Tenant) -> tuple[IngressPolicy, ...]:
    rows = models.IngressPolicy.objects.filter(tenant=tenant)
    return tuple(
        IngressPolicy(
            name=row.name,
            listener=listener_name(row.listener),
            backend=Backend(
                namespace=row.namespace.name, service=row.service, port=row.service_port
            ),
            hostnames=tuple(row.hostnames),
            path_prefix=row.path_prefix,
            sources=tuple(row.allowed_sources),
            mode=_mode(row.is_enabled),
        )
        for row in rows.select_related("namespace", "listener__virtual_address")
    )


def _egress_policies(tenant: Tenant) -> tuple[EgressPolicy, ...]:
    rules = Prefetch("rules", models.EgressRule.objects.filter(tenant=tenant).order_by("order"))
    rows = models.EgressPolicy.objects.filter(tenant=tenant).prefetch_related(rules)
    return tuple(
        EgressPolicy(
            name=row.name,
            rules=tuple(_rule(rule) for rule in row.rules.all()),
            mode=_mode(row.is_enabled),
        )
        for row in rows
    )


def _rule(row: models.EgressRule) -> EgressRule:
    return EgressRule(
        order=row.order,
        host=row.host or None,
        cidr=row.network,
        ports=tuple(PortRange.single(port) for port in sorted(set(row.ports))),
        granted=row.is_granted,
    )


def _mode(is_enabled: bool) -> Mode:
    return Mode.ENFORCED if is_enabled else Mode.STAGED
