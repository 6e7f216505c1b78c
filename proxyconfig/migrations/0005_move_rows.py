"""Rows of an earlier version become objects: what the current revision says, and nothing else.

Before, an edit wrote the rows and a plan waited. Now rows hold only what is approved, so each
tenant gets the objects of its current revision, and a plan that waits becomes a change set. What a
tenant held is granted to it as it stands ("adopted"). Where an address had two owners in two
tables, the virtual address stays; the other one is taken out, and the audit log says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from django.db import migrations
from django.utils import timezone

from proxyconfig.domain import effects, holdings, manifest, objects
from proxyconfig.domain.fields import Mode, PortRange, Protocol
from proxyconfig.domain.intent import (
    Backend,
    EgressPolicy,
    EgressRule,
    Grant,
    IngressPolicy,
    Intent,
    Listener,
    Namespace,
    Segment,
    SnatPool,
    Subnet,
    VirtualAddress,
    VlanLink,
    VxlanLink,
    canonical,
)
from tenants.domain.claims import (
    DEFAULT_VRF,
    AddressClaim,
    Claim,
    NamespaceClaim,
    SubnetClaim,
    VlanClaim,
    VniClaim,
)

DAYS = 14
WAITING = "AwaitingApproval"


def move(apps: Any, schema_editor: Any) -> None:
    """Every tenant's rows, in the order of tenants; one transaction, as the owner's role."""
    alias = schema_editor.connection.alias
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.staff', 'on', true)")
    old = _Old(apps, alias)
    tenants = list(apps.get_model("tenants", "Tenant").objects.using(alias).order_by("pk"))
    wishes = {tenant.pk: _Wish.of(old, tenant) for tenant in tenants}
    taken: dict[tuple[Any, ...], int] = {}
    for role in ("virtual", "other"):
        for tenant in tenants:
            _settle(wishes[tenant.pk], taken, role)
    new = _New(apps, alias, old.clusters)
    for tenant in tenants:
        new.write(tenant, wishes[tenant.pk])


class _Old:
    """What the earlier version kept."""

    def __init__(self, apps: Any, alias: str) -> None:
        self._apps, self._alias = apps, alias
        self.clusters = {row.name: row.pk for row in self.rows("tenants", "Cluster")}
        self.names = {pk: name for name, pk in self.clusters.items()}

    def rows(self, app: str, model: str, **where: Any) -> Any:
        return self._apps.get_model(app, model).objects.using(self._alias).filter(**where)

    def home(self, tenant: Any) -> str:
        """The cluster of what an old revision kept without naming one."""
        placed = self.rows("proxyconfig", "Placement", tenant=tenant).order_by("pk").first()
        if placed is not None:
            return self.names[placed.cluster_id]
        return min(self.clusters, key=lambda name: self.clusters[name], default="local")

    def intent(self, tenant: Any, stored: Any) -> Intent:
        """A stored intent with the clusters, VRFs, grants and addresses that only rows knew."""
        home = self.home(tenant)
        intent = manifest.from_stored(stored, home=home)
        return self._with_rows(tenant, intent, home)

    def rows_intent(self, tenant: Any) -> Intent:
        """What the rows say, for a tenant that has no revision."""
        home = self.home(tenant)
        intent = Intent(
            tenant=tenant.slug,
            namespaces=tuple(
                Namespace(name=row.name, cluster=self.names[row.cluster_id])
                for row in self.rows("tenants", "Namespace", tenant=tenant)
            ),
            segments=tuple(self._segment(row) for row in self._segments(tenant)),
            snat_pools=self._pools(tenant),
            listeners=tuple(self._listener(row) for row in self._listeners(tenant)),
            ingress_policies=tuple(self._ingress(tenant)),
            egress_policies=tuple(self._egress(tenant)),
        )
        return self._with_rows(tenant, intent, home)

    def _with_rows(self, tenant: Any, intent: Intent, home: str) -> Intent:
        addresses = {
            row.address: self.names[row.cluster_id]
            for row in self.rows("tenants", "VirtualAddress", tenant=tenant)
        }
        snat = {
            row.address: self.names[row.cluster_id]
            for row in self.rows("tenants", "SnatAddress", tenant=tenant)
        }
        namespaces: dict[str, list[str]] = {}
        for row in self.rows("tenants", "Namespace", tenant=tenant):
            namespaces.setdefault(row.name, []).append(self.names[row.cluster_id])
        held = {(entry.cluster, entry.address) for entry in intent.virtual_addresses}
        held = {(addresses.get(address, cluster), address) for cluster, address in held}
        held |= {(cluster, address) for address, cluster in addresses.items()}
        return canonical(
            replace(
                intent,
                namespaces=tuple(
                    Namespace(name=entry.name, cluster=cluster)
                    for entry in intent.namespaces
                    for cluster in namespaces.get(entry.name, [entry.cluster])
                ),
                segments=tuple(
                    part for entry in intent.segments for part in self._placed(tenant, entry)
                ),
                virtual_addresses=tuple(
                    VirtualAddress(address=address, cluster=cluster)
                    for cluster, address in sorted(held)
                ),
                snat_pools=tuple(
                    replace(pool, cluster=snat.get(pool.addresses[0], home))
                    if pool.addresses
                    else pool
                    for pool in intent.snat_pools
                ),
                listeners=tuple(
                    replace(entry, cluster=addresses.get(entry.virtual_address, entry.cluster))
                    for entry in intent.listeners
                ),
                egress_policies=tuple(
                    self._granted(tenant, policy) for policy in intent.egress_policies
                ),
            )
        )

    def _placed(self, tenant: Any, segment: Segment) -> Iterable[Segment]:
        """A segment with its cluster; subnets of a second VRF become a segment of their own."""
        row = self._segments(tenant).filter(name=segment.name).first()
        if row is None:
            yield segment
            return
        cluster = segment.cluster if segment.vlan or segment.vxlan else self.names[row.cluster_id]
        known = {
            subnet.prefix: subnet.vrf for subnet in self.rows("tenants", "Subnet", segment=row)
        }
        by_vrf: dict[str, list[Subnet]] = {}
        for subnet in segment.subnets:
            vrf = known.get(subnet.cidr, segment.vrf or DEFAULT_VRF)
            by_vrf.setdefault(vrf, []).append(subnet)
        for place, (vrf, subnets) in enumerate(sorted(by_vrf.items()) or [(DEFAULT_VRF, [])]):
            yield replace(
                segment,
                name=segment.name if place == 0 else f"{segment.name}-{vrf}"[:63],
                cluster=cluster,
                vlan=segment.vlan if place == 0 else None,
                vxlan=segment.vxlan if place == 0 else None,
                subnets=tuple(subnets),
                vrf=None if vrf == DEFAULT_VRF else vrf,
            )

    def _granted(self, tenant: Any, policy: EgressPolicy) -> EgressPolicy:
        """Who granted, and when, where the rows know it."""
        rows = self.rows("proxyconfig", "EgressRule", tenant=tenant, policy__name=policy.name)
        known = {
            (row.network, tuple(sorted(set(row.ports)))): row
            for row in rows.exclude(granted_at=None).select_related("granted_by")
        }

        def grant(rule: EgressRule) -> Grant | None:
            ports = [port for span in rule.ports for port in range(span.first, span.last + 1)]
            row = known.get((rule.cidr, tuple(sorted(set(ports)))))
            if rule.granted is None or row is None:
                return rule.granted
            return Grant(by=row.granted_by.username if row.granted_by else "", at=row.granted_at)

        return replace(
            policy, rules=tuple(replace(rule, granted=grant(rule)) for rule in policy.rules)
        )

    def _segments(self, tenant: Any) -> Any:
        return self.rows("tenants", "Segment", tenant=tenant).order_by("name")

    def _segment(self, row: Any) -> Segment:
        subnets = self.rows("tenants", "Subnet", segment=row).order_by("prefix")
        vrfs = {subnet.vrf for subnet in subnets} - {DEFAULT_VRF}
        return Segment(
            name=row.name,
            cluster=self.names[row.cluster_id],
            vlan=VlanLink(interface=row.trunk, tag=row.vlan_tag) if row.vlan_tag else None,
            vxlan=VxlanLink(vni=row.vni) if row.vni else None,
            subnets=tuple(Subnet(cidr=entry.prefix, gateway=entry.gateway) for entry in subnets),
            vrf=min(vrfs, default=None),
        )

    def _pools(self, tenant: Any) -> tuple[SnatPool, ...]:
        found: dict[str, list[str]] = {}
        for row in self.rows("tenants", "SnatAddress", tenant=tenant).order_by("pk"):
            found.setdefault(self.names[row.cluster_id], []).append(row.address)
        return tuple(
            SnatPool(
                name="default" if place == 0 else f"default-{cluster}",
                cluster=cluster,
                addresses=tuple(addresses),
            )
            for place, (cluster, addresses) in enumerate(found.items())
        )

    def _listeners(self, tenant: Any) -> Any:
        rows = self.rows("proxyconfig", "Listener", tenant=tenant)
        return rows.select_related("virtual_address").order_by("pk")

    def _listener(self, row: Any) -> Listener:
        return Listener(
            name=_listener_name(row),
            cluster=self.names[row.virtual_address.cluster_id],
            virtual_address=row.virtual_address.address,
            port=row.port,
            protocol=Protocol(row.protocol),
        )

    def _ingress(self, tenant: Any) -> Iterable[IngressPolicy]:
        rows = self.rows("proxyconfig", "IngressPolicy", tenant=tenant)
        for row in rows.select_related("namespace", "listener__virtual_address"):
            yield IngressPolicy(
                name=row.name,
                listener=_listener_name(row.listener),
                backend=Backend(
                    namespace=row.namespace.name, service=row.service, port=row.service_port
                ),
                hostnames=tuple(row.hostnames),
                path_prefix=row.path_prefix,
                sources=tuple(row.allowed_sources),
                mode=Mode.ENFORCED if row.is_enabled else Mode.STAGED,
            )

    def _egress(self, tenant: Any) -> Iterable[EgressPolicy]:
        for row in self.rows("proxyconfig", "EgressPolicy", tenant=tenant):
            rules = self.rows("proxyconfig", "EgressRule", policy=row).order_by("order")
            yield EgressPolicy(
                name=row.name,
                mode=Mode.ENFORCED if row.is_enabled else Mode.STAGED,
                rules=tuple(
                    EgressRule(
                        order=rule.order,
                        host=rule.host or None,
                        cidr=rule.network,
                        ports=tuple(PortRange.single(port) for port in sorted(set(rule.ports))),
                        granted=Grant(by="") if rule.granted_at else None,
                    )
                    for rule in rules
                ),
            )


def _listener_name(row: Any) -> str:
    address = row.virtual_address.address.replace(".", "-").replace(":", "-")
    return f"{row.protocol}-{address}-{row.port}"


@dataclass(slots=True)
class _Wish:
    """What becomes of one tenant.

    Attributes:
        intent: what is in force.
        proposal: of the plan that waits; None where none does.
        lost: what another tenant has, in words.
    """

    intent: Intent
    revision: Any
    plan: Any = None
    proposal: Intent | None = None
    lost: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, old: _Old, tenant: Any) -> "_Wish":
        revisions = old.rows("proxyconfig", "Revision", tenant=tenant)
        revision = revisions.order_by("-generation").first()
        plans = old.rows("proxyconfig", "Plan", tenant=tenant, state=WAITING)
        plan = plans.order_by("-pk").first()
        if revision is not None:
            intent = old.intent(tenant, revision.intent)
        else:
            intent = Intent(tenant=tenant.slug) if plan else old.rows_intent(tenant)
        wish = cls(intent, revision, plan)
        if plan is not None:
            wish.proposal = old.intent(tenant, plan.intent)
            # Rows had the addresses of the plan already: they stay the tenant's.
            wish.intent = canonical(
                replace(
                    wish.intent,
                    virtual_addresses=wish.intent.virtual_addresses
                    or wish.proposal.virtual_addresses,
                )
            )
        return wish


def _settle(wish: _Wish, taken: dict[tuple[Any, ...], int], role: str) -> None:
    """Take the wish's addresses; those that somebody else has are taken out of it."""
    owner = id(wish)
    for name in ("intent", "proposal"):
        intent: Intent | None = getattr(wish, name)
        if intent is None:
            continue
        gone = set()
        for claim in holdings.claims(intent):
            if not isinstance(claim, AddressClaim) or (claim.role == "virtual") != (
                role == "virtual"
            ):
                continue
            key = (claim.cluster, claim.vrf, claim.address)
            is_outside = claim.role in ("self-ip", "gateway") and not claim.subnet
            is_own = taken.get(key) in (None, owner)
            is_double = (*key, owner, name) in taken
            if is_outside or not is_own or is_double:
                gone.add((claim.role.value, claim.address))
                wish.lost.append(f"{claim.role.value} {claim.address}")
            else:
                taken[key] = owner
                taken[(*key, owner, name)] = owner
        setattr(wish, name, _without(intent, gone))


def _without(intent: Intent, gone: set[tuple[str, str]]) -> Intent:
    """The intent without these addresses, given by role, and what cannot be without them."""
    if not gone:
        return intent
    pools = tuple(
        replace(
            pool,
            addresses=tuple(entry for entry in pool.addresses if ("snat", entry) not in gone),
        )
        for pool in intent.snat_pools
    )
    kept = {pool.name for pool in pools if pool.addresses}
    segments = tuple(
        replace(
            segment,
            subnets=tuple(
                replace(subnet, gateway=None) if ("gateway", subnet.gateway) in gone else subnet
                for subnet in segment.subnets
            ),
        )
        for segment in intent.segments
    )
    return replace(
        intent,
        segments=segments,
        snat_pools=tuple(pool for pool in pools if pool.addresses),
        self_ips=tuple(ip for ip in intent.self_ips if ("self-ip", ip.address) not in gone),
        egress_policies=tuple(
            policy if policy.snat_pool in kept else replace(policy, snat_pool=None)
            for policy in intent.egress_policies
        ),
    )


class _New:
    """The tables of this version."""

    def __init__(self, apps: Any, alias: str, clusters: dict[str, int]) -> None:
        self._apps, self._alias, self._clusters = apps, alias, clusters
        self._vrfs = {row.name: row.pk for row in self._all("tenants", "Vrf")}
        self._grants: dict[tuple[Any, ...], Any] = {}

    def write(self, tenant: Any, wish: _Wish) -> None:
        now = timezone.now()
        self._claims(tenant, holdings.claims(wish.intent), None)
        self._objects(tenant, wish.intent, now)
        if wish.revision is not None:
            wish.revision.intent = manifest.to_mapping(wish.intent)
            wish.revision.intent_hash = manifest.intent_hash(wish.intent)
            wish.revision.save(update_fields=["intent", "intent_hash"])
        if wish.plan is not None and wish.proposal is not None:
            held = holdings.claims(wish.proposal) - holdings.claims(wish.intent)
            self._claims(tenant, held, wish.plan.pk)
            self._change_set(wish, wish.plan, wish.proposal, now)
        for what in dict.fromkeys(wish.lost):
            self._all("tenants", "AuditEntry").create(
                tenant=tenant,
                at=now,
                actor="system:migration",
                event="address.dropped",
                object_type="address",
                object_name=what,
                reason="It had two owners, or lay in no subnet of its segment.",
                detail={},
            )
        if wish.lost:
            # Workers look again, and the proxy lets go of what is not the tenant's.
            tenant.generation += 1
            tenant.save(update_fields=["generation"])
            if wish.revision is not None:
                wish.revision.generation = tenant.generation
                wish.revision.save(update_fields=["generation"])

    def _objects(self, tenant: Any, intent: Intent, now: Any) -> None:
        model = self._apps.get_model("proxyconfig", "IntentObject")
        model.objects.using(self._alias).bulk_create(
            [
                model(
                    tenant=tenant,
                    collection=key.collection,
                    name=key.name,
                    cluster_id=self._clusters.get(objects.cluster_of(intent, item) or ""),
                    spec=objects.plain(item),
                    version=objects.version(item),
                    updated_by="system:migration",
                    created_at=now,
                    updated_at=now,
                )
                for key, item in objects.objects(intent).items()
            ],
            batch_size=500,
        )

    def _change_set(self, wish: _Wish, plan: Any, proposal: Intent, now: Any) -> None:
        plan.base = manifest.to_mapping(wish.intent)
        plan.intent = manifest.to_mapping(proposal)
        plan.intent_hash = manifest.intent_hash(proposal)
        plan.summary = effects.summary(wish.intent, proposal)
        plan.effects = list(effects.effects(wish.intent, proposal))
        plan.changes = [
            {
                "action": change.kind.value,
                "collection": change.key.collection,
                "name": change.key.name,
                "title": str(change.key).capitalize(),
                "fields": [entry.plain() for entry in effects.field_changes(change)],
            }
            for change in objects.difference(wish.intent, proposal)
        ]
        plan.expires_at = now + timedelta(days=DAYS)
        plan.save()

    def _claims(self, tenant: Any, claims: frozenset[Claim], plan_id: int | None) -> None:
        subnets: dict[tuple[str, str, str], Any] = {}
        order = {NamespaceClaim: 0, VlanClaim: 1, VniClaim: 2, SubnetClaim: 3, AddressClaim: 4}
        for claim in sorted(claims, key=lambda entry: (order[type(entry)], str(entry))):
            if claim.cluster not in self._clusters:
                continue
            self._claim(tenant, claim, plan_id, subnets)

    def _claim(
        self, tenant: Any, claim: Claim, plan_id: int | None, subnets: dict[Any, Any]
    ) -> None:
        cluster = self._clusters[claim.cluster]
        same = {"tenant": tenant, "cluster_id": cluster, "user": claim.user, "plan_id": plan_id}
        match claim:
            case NamespaceClaim():
                grant = self._grant(
                    "NamespaceGrant", tenant=tenant, cluster_id=cluster, pattern=claim.name
                )
                self._all("tenants", "NamespaceClaim").create(
                    **same, name=claim.name, grant=grant, grant_pattern=claim.name
                )
            case VlanClaim():
                place = {"cluster_id": cluster, "trunk": claim.trunk}
                grant = self._grant(
                    "VlanGrant", tenant=tenant, first=claim.tag, last=claim.tag, **place
                )
                self._all("tenants", "VlanClaim").create(
                    **same,
                    trunk=claim.trunk,
                    tag=claim.tag,
                    grant=grant,
                    grant_first=claim.tag,
                    grant_last=claim.tag,
                )
            case VniClaim():
                grant = self._grant(
                    "VniGrant", tenant=tenant, cluster_id=cluster, first=claim.vni, last=claim.vni
                )
                self._all("tenants", "VniClaim").create(
                    **same,
                    vni=claim.vni,
                    grant=grant,
                    grant_first=claim.vni,
                    grant_last=claim.vni,
                )
            case SubnetClaim():
                grant = self._prefix(tenant, claim.vrf, claim.prefix, "subnets")
                subnets[(claim.cluster, claim.vrf, claim.prefix)] = self._all(
                    "tenants", "SubnetClaim"
                ).create(
                    **same,
                    vrf_id=grant.vrf_id,
                    prefix=claim.prefix,
                    grant=grant,
                    grant_prefix=claim.prefix,
                )
            case AddressClaim():
                self._address(tenant, claim, same, subnets)

    def _address(
        self, tenant: Any, claim: AddressClaim, same: dict[str, Any], subnets: dict[Any, Any]
    ) -> None:
        values = {**same, "address": claim.address, "role": claim.role.value}
        if claim.subnet:
            key = (claim.cluster, claim.vrf, claim.subnet)
            subnet = subnets.get(key) or self._all("tenants", "SubnetClaim").get(
                tenant=tenant,
                cluster_id=same["cluster_id"],
                vrf_id=self._vrfs[claim.vrf],
                prefix=claim.subnet,
            )
            self._all("tenants", "AddressClaim").create(
                **values, vrf_id=subnet.vrf_id, subnet=subnet, subnet_prefix=claim.subnet
            )
            return
        prefix = f"{claim.address}/{128 if ':' in claim.address else 32}"
        grant = self._prefix(tenant, claim.vrf, prefix, "addresses")
        self._all("tenants", "AddressClaim").create(
            **values, vrf_id=grant.vrf_id, grant=grant, grant_prefix=prefix
        )

    def _prefix(self, tenant: Any, vrf: str, prefix: str, purpose: str) -> Any:
        if vrf not in self._vrfs:
            row = self._all("tenants", "Vrf").create(
                name=vrf, description="Adopted from an earlier version."
            )
            self._vrfs[vrf] = row.pk
        return self._grant(
            "PrefixGrant",
            tenant=tenant,
            vrf_id=self._vrfs[vrf],
            vrf_owner=0,
            prefix=prefix,
            purpose=purpose,
        )

    def _grant(self, model: str, **values: Any) -> Any:
        key = (model, *((name, getattr(value, "pk", value)) for name, value in values.items()))
        if key not in self._grants:
            self._grants[key] = self._all("tenants", model).create(**values)
        return self._grants[key]

    def _all(self, app: str, model: str) -> Any:
        return self._apps.get_model(app, model).objects.using(self._alias)


class Migration(migrations.Migration):
    """Data alone; the old tables are dropped by the next one."""

    dependencies = [
        ("proxyconfig", "0004_objects"),
        ("tenants", "0005_address_space_held"),
    ]

    operations = [migrations.RunPython(move, migrations.RunPython.noop)]
