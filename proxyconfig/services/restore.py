"""Intent to rows: what a roll back and a refusal do to what people edit.

Rows that an intent does not know (addresses that no listener uses) stay. Grants never come back by
this way, or rolling back would undo their withdrawal; a platform administrator's own hand may.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import models as db
from django.db import transaction
from django.utils import timezone

from proxyconfig import models
from proxyconfig.domain.fields import Mode
from proxyconfig.domain.intent import EgressRule, Intent, Segment
from tenants.domain.actor import Actor
from tenants.errors import ConflictError, PermanentError
from tenants.models.segment import Segment as SegmentRow
from tenants.models.segment import SegmentKind, SnatAddress, VirtualAddress
from tenants.models.segment import Subnet as SubnetRow
from tenants.models.tenant import Cluster, Namespace, Tenant
from tenants.services import conflicts
from tenants.services.conflicts import Taken

GrantKey = tuple[str, str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Grant:
    """Who let a rule reach private addresses, and when."""

    user_id: int | None
    at: datetime


def restore_rows(tenant: Tenant, intent: Intent, *, actor: Actor) -> None:
    """Make the tenant's rows say what ``intent`` says, in one transaction.

    Raises:
        ConflictError: an address, a tag or a namespace of it has another owner by now.
        PermanentError: it names a cluster that is gone.
    """
    with transaction.atomic():
        clusters = _Clusters.of(tenant)
        models.IngressPolicy.objects.filter(tenant=tenant).exclude(
            name__in=[policy.name for policy in intent.ingress_policies]
        ).delete()
        _restore_namespaces(tenant, intent, clusters, actor)
        _restore_segments(tenant, intent, clusters, actor)
        _restore_snat(tenant, intent, clusters, actor)
        _restore_ingress(tenant, intent, clusters, actor)
        # Only now: until its policy was put back, a namespace may have been in use.
        Namespace.objects.filter(tenant=tenant).exclude(name__in=intent.namespaces).delete()
        _restore_egress(tenant, intent, actor)


def existing_grants(tenant: Tenant) -> dict[GrantKey, Grant]:
    """The grants that stand, by what exactly was granted: policy, network and ports."""
    rules = models.EgressRule.objects.filter(tenant=tenant, granted_at__isnull=False)
    return {
        grant_key(rule.policy.name, rule.network, rule.ports): Grant(
            rule.granted_by_id, rule.granted_at
        )
        for rule in rules.select_related("policy")
        if rule.granted_at is not None
    }


def grant_key(policy: str, network: str | None, ports: Iterable[int]) -> GrantKey:
    """What a grant is bound to: change any part of it and it is gone."""
    return policy, network or "", tuple(sorted(set(ports)))


@dataclass(frozen=True, slots=True)
class _Clusters:
    """Where restored rows go: by name, or to the tenant's own cluster."""

    by_name: dict[str, Cluster]
    home: Cluster | None

    @classmethod
    def of(cls, tenant: Tenant) -> "_Clusters":
        placement = models.Placement.objects.filter(tenant=tenant).order_by("pk").first()
        by_pk = {cluster.pk: cluster for cluster in Cluster.objects.order_by("pk")}
        home = by_pk[placement.cluster_id] if placement else next(iter(by_pk.values()), None)
        return cls({cluster.name: cluster for cluster in by_pk.values()}, home)

    def named(self, name: str | None) -> Cluster:
        found = self.home if name is None else self.by_name.get(name)
        if found is None:
            raise PermanentError(
                f"The cluster {name or 'of this tenant'} is not known any more, so what stood"
                " there cannot be put back. Make the cluster again, or change the policies by hand."
            )
        return found


def _restore_namespaces(tenant: Tenant, intent: Intent, clusters: _Clusters, actor: Actor) -> None:
    known = set(Namespace.objects.filter(tenant=tenant).values_list("name", flat=True))
    for name in intent.namespaces:
        if name not in known:
            cluster = clusters.named(None)
            row = Namespace(tenant=tenant, cluster=cluster, name=name)
            _claim(row, "namespace_one_owner", f"Namespace {name}", actor)


def _restore_segments(tenant: Tenant, intent: Intent, clusters: _Clusters, actor: Actor) -> None:
    rows = SegmentRow.objects.filter(tenant=tenant)
    rows.exclude(name__in=[segment.name for segment in intent.segments]).delete()
    row_by_name = {row.name: row for row in rows.select_related("cluster")}
    # Subnets may have moved from one segment to another; all go before any comes back.
    SubnetRow.objects.filter(tenant=tenant).delete()
    for segment in intent.segments:
        row = row_by_name.get(segment.name) or SegmentRow(tenant=tenant, name=segment.name)
        _fill_segment(row, segment, clusters)
        _claim(row, "segment_vlan_one_owner", f"{row.identifier} of segment {row.name}", actor)
        for subnet in segment.subnets:
            fresh = SubnetRow(
                tenant=tenant,
                cluster=row.cluster,
                segment=row,
                vrf=segment.vrf or "default",
                prefix=subnet.cidr,
                gateway=subnet.gateway,
            )
            _claim(fresh, "subnet_no_overlap", f"Subnet {subnet.cidr}", actor)


def _fill_segment(row: SegmentRow, segment: Segment, clusters: _Clusters) -> None:
    row.vlan_tag = row.vni = None
    if segment.vlan is not None:
        row.kind, row.cluster = SegmentKind.VLAN.value, clusters.named(segment.vlan.cluster)
        row.trunk, row.vlan_tag = segment.vlan.interface, segment.vlan.tag
    elif segment.vxlan is not None:
        row.kind, row.cluster = SegmentKind.VXLAN.value, clusters.named(segment.vxlan.cluster)
        row.vni = segment.vxlan.vni
    else:
        row.kind = SegmentKind.SUBNET.value
        if row._state.adding:
            row.cluster = clusters.named(None)


def _restore_snat(tenant: Tenant, intent: Intent, clusters: _Clusters, actor: Actor) -> None:
    wanted = [address for pool in intent.snat_pools for address in pool.addresses]
    rows = SnatAddress.objects.filter(tenant=tenant)
    rows.exclude(address__in=wanted).delete()
    known = set(rows.values_list("address", flat=True))
    for address in wanted:
        if address not in known:
            cluster = clusters.named(None)
            row = SnatAddress(tenant=tenant, cluster=cluster, address=address)
            _claim(row, "snat_address_one_owner", f"SNAT address {address}", actor)


def _restore_ingress(tenant: Tenant, intent: Intent, clusters: _Clusters, actor: Actor) -> None:
    listener_by_name = _restore_listeners(tenant, intent, clusters, actor)
    namespaces = {row.name: row for row in Namespace.objects.filter(tenant=tenant)}
    now = timezone.now()
    models.IngressPolicy.objects.bulk_create(
        [
            models.IngressPolicy(
                tenant=tenant,
                name=policy.name,
                listener=listener_by_name[policy.listener],
                namespace=namespaces[policy.backend.namespace],
                service=policy.backend.service,
                service_port=policy.backend.port,
                hostnames=list(policy.hostnames),
                path_prefix=policy.path_prefix,
                allowed_sources=list(policy.sources),
                is_enabled=policy.mode is Mode.ENFORCED,
                updated_at=now,
            )
            for policy in intent.ingress_policies
        ],
        update_conflicts=True,
        unique_fields=["tenant", "name"],
        update_fields=[
            *("listener", "namespace", "service", "service_port", "hostnames", "path_prefix"),
            *("allowed_sources", "is_enabled", "updated_at"),
        ],
    )
    kept = [listener.pk for listener in listener_by_name.values()]
    models.Listener.objects.filter(tenant=tenant).exclude(pk__in=kept).delete()


def _restore_listeners(
    tenant: Tenant, intent: Intent, clusters: _Clusters, actor: Actor
) -> dict[str, models.Listener]:
    addresses = {row.address: row for row in VirtualAddress.objects.filter(tenant=tenant)}
    rows = models.Listener.objects.filter(tenant=tenant).select_related("virtual_address")
    known = {(row.virtual_address.address, row.port, row.protocol): row for row in rows}
    restored = {}
    for wish in intent.listeners:
        address = addresses.get(wish.virtual_address)
        if address is None:
            cluster = clusters.named(None)
            address = VirtualAddress(tenant=tenant, cluster=cluster, address=wish.virtual_address)
            what = f"Virtual address {wish.virtual_address}"
            _claim(address, "virtual_address_one_owner", what, actor)
            addresses[wish.virtual_address] = address
        row = known.get((wish.virtual_address, wish.port, wish.protocol.value))
        if row is None:
            row = models.Listener(
                tenant=tenant,
                virtual_address=address,
                port=wish.port,
                protocol=wish.protocol.value,
            )
            _claim(row, "listener_one_owner", f"Listener {row}", actor)
        restored[wish.name] = row
    return restored


def _restore_egress(tenant: Tenant, intent: Intent, actor: Actor) -> None:
    grants = existing_grants(tenant)
    names = [policy.name for policy in intent.egress_policies]
    rows = models.EgressPolicy.objects.filter(tenant=tenant)
    rows.exclude(name__in=names).delete()
    models.EgressRule.objects.filter(tenant=tenant).delete()
    now = timezone.now()
    models.EgressPolicy.objects.bulk_create(
        [
            models.EgressPolicy(
                tenant=tenant,
                name=policy.name,
                is_enabled=policy.mode is Mode.ENFORCED,
                updated_at=now,
            )
            for policy in intent.egress_policies
        ],
        update_conflicts=True,
        unique_fields=["tenant", "name"],
        update_fields=["is_enabled", "updated_at"],
    )
    row_by_name = {row.name: row for row in rows}
    models.EgressRule.objects.bulk_create(
        _rule(row_by_name[policy.name], rule, grants, actor, now)
        for policy in intent.egress_policies
        for rule in policy.rules
    )


def _rule(
    policy: models.EgressPolicy,
    rule: EgressRule,
    grants: dict[GrantKey, Grant],
    actor: Actor,
    now: datetime,
) -> models.EgressRule:
    ports = [port for span in rule.ports for port in range(span.first, span.last + 1)]
    grant = grants.get(grant_key(policy.name, rule.cidr, ports))
    if grant is None and rule.granted and actor.is_platform_admin:
        grant = Grant(actor.user_id, now)
    return models.EgressRule(
        tenant_id=policy.tenant_id,
        policy=policy,
        order=rule.order,
        host=rule.host or "",
        network=rule.cidr,
        ports=ports,
        granted_by_id=grant.user_id if grant else None,
        granted_at=grant.at if grant else None,
    )


def _claim(row: db.Model, constraint: str, what: str, actor: Actor) -> None:
    """Save a row that the database lets one tenant have; whoever has it now is not named."""
    try:
        conflicts.save(
            row, actor=actor, taken={constraint: Taken(what, type(row)._default_manager.none)}
        )
    except ConflictError as error:
        raise ConflictError(
            f"{what} has another owner by now, so it cannot be put back. Choose another one, and"
            " change the policies by hand.",
            code="taken",
            data={"value": what},
        ) from error
