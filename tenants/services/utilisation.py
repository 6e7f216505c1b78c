"""How much of each pool and range is taken."""

from dataclasses import dataclass

from django.db import connection

from tenants.models.scoped import platform_scope

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


def utilisation() -> list[Use]:
    """Of every pool and range, in one query."""
    with platform_scope("utilisation"), connection.cursor() as cursor:
        cursor.execute(_UTILISATION)
        return [
            Use(kind, pk, name, int(used), int(size))
            for kind, pk, name, used, size in cursor.fetchall()
        ]
