"""How much of each pool and range is taken, and who has an address."""

import ipaddress
from dataclasses import dataclass

from django.db import connection

from tenants.domain.actor import Actor
from tenants.errors import ForbiddenError, InvalidError
from tenants.models.claim import AddressClaim, SubnetClaim
from tenants.models.grant import PrefixGrant
from tenants.models.pool import AddressPool
from tenants.models.scoped import platform_scope
from tenants.models.vrf import Vrf
from tenants.services.claim_kinds import supernets

_UTILISATION = """
WITH prefixes AS (
    SELECT g.pool_id, p.prefix::inet AS prefix, CASE family(p.prefix) WHEN 4 THEN 32 ELSE 128 END
        AS bits FROM (
        SELECT grant_id, address AS prefix FROM tenants_addressclaim
        UNION ALL SELECT grant_id, prefix FROM tenants_subnetclaim
    ) p JOIN tenants_prefixgrant g ON g.id = p.grant_id
), ends AS (
    -- In this order a prefix comes after all that contain it: one of those reaches as far.
    SELECT pool_id, masklen(prefix) AS length, bits, set_masklen(broadcast(prefix), bits) AS last,
        max(set_masklen(broadcast(prefix), bits)) OVER (PARTITION BY pool_id ORDER BY prefix
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
    FROM prefixes
), sizes AS (
    SELECT pool_id, sum(2::numeric ^ (bits - length)) AS used FROM ends
    WHERE reached IS NULL OR reached < last GROUP BY pool_id
), tags AS (
    SELECT g.vlan_range_id, count(*) AS used FROM tenants_vlanclaim c
    JOIN tenants_vlangrant g ON g.id = c.grant_id GROUP BY 1
), vnis AS (
    SELECT g.vni_range_id, count(*) AS used FROM tenants_vniclaim c
    JOIN tenants_vnigrant g ON g.id = c.grant_id GROUP BY 1
)
SELECT 'pool', p.id, p.name, coalesce(s.used, 0), 2::numeric
    ^ (CASE family(p.prefix) WHEN 4 THEN 32 ELSE 128 END - masklen(p.prefix))
FROM tenants_addresspool p LEFT JOIN sizes s ON s.pool_id = p.id
UNION ALL
SELECT 'vlan-range', r.id, r.name, coalesce(t.used, 0), r.last - r.first + 1
FROM tenants_vlanrange r LEFT JOIN tags t ON t.vlan_range_id = r.id
UNION ALL
SELECT 'vni-range', r.id, r.name, coalesce(v.used, 0), r.last - r.first + 1
FROM tenants_vnirange r LEFT JOIN vnis v ON v.vni_range_id = r.id
ORDER BY 1, 3
"""


@dataclass(frozen=True, slots=True)
class Use:
    """How much of one pool or range is taken, held by plans included.

    Attributes:
        kind: ``pool``, ``vlan-range`` or ``vni-range``.
        used, size: addresses, tags or identifiers; of subnets their addresses. What several
            clusters use, or a subnet inside of another cluster's, counts once.
    """

    kind: str
    pk: int
    name: str
    used: int
    size: int

    @property
    def percent(self) -> float:
        """From 0 to 100."""
        return 100 * self.used / self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """One answer to "who owns this address", from the widest to the narrowest.

    Attributes:
        kind: ``pool``, ``grant``, ``subnet``, ``address`` or ``reserved``.
        tenant: its slug; "" for the platform.
        cluster: its name; "" for pools and grants, which are of all clusters.
        plan_id: the waiting plan that it is held for; None in force.
    """

    kind: str
    value: str
    vrf: str
    tenant: str = ""
    cluster: str = ""
    role: str = ""
    user: str = ""
    plan_id: int | None = None


def utilisation() -> list[Use]:
    """Of every pool and range, in one query."""
    with platform_scope("utilisation"), connection.cursor() as cursor:
        cursor.execute(_UTILISATION)
        return [
            Use(kind, pk, name, int(used), int(size))
            for kind, pk, name, used, size in cursor.fetchall()
        ]


def owner_of(address: str, vrf: Vrf | None = None, *, actor: Actor) -> list[Holder]:
    """Who has an address, whose subnet it lies in, who may take it, and from which pool.

    Args:
        vrf: ask in this one only.

    Raises:
        ForbiddenError: the actor is not of the platform's staff.
        InvalidError: not an address.
    """
    if not actor.is_platform_staff:
        raise ForbiddenError("Only platform staff look up whose an address is.")
    try:
        network = ipaddress.ip_network(ipaddress.ip_address(address.strip()))
    except ValueError as error:
        says = f"{address!r} is not an IP address."
        raise InvalidError(says, fields={"address": [says]}) from error
    above = supernets(network)
    here = {} if vrf is None else {"vrf": vrf}
    with platform_scope("owner of an address"):
        pools = AddressPool.objects.filter(prefix__in=above, **here).select_related("vrf")
        grants = PrefixGrant.objects.filter(prefix__in=above, **here)
        subnets = SubnetClaim.objects.filter(prefix__in=above, **here)
        addresses = AddressClaim.objects.filter(address__in=above, **here)
        return [
            *(
                Holder(kind="pool", value=pool.prefix, vrf=pool.vrf.name, user=pool.name)
                for pool in pools
            ),
            *(
                Holder(kind="grant", value=row.prefix, vrf=row.vrf.name, tenant=row.tenant.slug)
                for row in grants.select_related("vrf", "tenant")
            ),
            *(_claimed(row) for row in subnets.select_related("vrf", "tenant", "cluster")),
            *(_claimed(row) for row in addresses.select_related("vrf", "tenant", "cluster")),
        ]


def _claimed(row: SubnetClaim | AddressClaim) -> Holder:
    is_address = isinstance(row, AddressClaim)
    kind = "address" if is_address else "subnet"
    return Holder(
        kind=kind if row.tenant else "reserved",
        value=str(row),
        vrf=row.vrf.name,
        tenant=row.tenant.slug if row.tenant else "",
        cluster=row.cluster.name,
        role=row.role if isinstance(row, AddressClaim) else "",
        user=row.user,
        plan_id=row.plan_id,
    )
