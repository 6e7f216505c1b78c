"""Who has an address, a VLAN tag or a VNI: what platform staff ask of the whole address space."""

from tenants.domain.actor import Actor
from tenants.domain.numbers import whole_number
from tenants.errors import ForbiddenError, InvalidError
from tenants.models.claim import VlanClaim, VniClaim
from tenants.models.grant import VlanGrant, VniGrant
from tenants.models.scoped import platform_scope
from tenants.services.utilisation import Holder, owner_of

_MOST = 50
_LARGEST = 16_777_215


def find(text: str, *, actor: Actor) -> list[Holder]:
    """Who has what is asked for, from the widest to the narrowest; at most a few of each kind.

    Args:
        text: an address, or a number: a VLAN tag on any trunk, and a VNI.

    Raises:
        ForbiddenError: the actor is not of the platform's staff.
        InvalidError: neither an address nor such a number.
    """
    asked = text.strip().lower()
    for word in ("vlan", "vni"):
        asked = asked.removeprefix(word).strip()
    if not asked.isdecimal():
        return owner_of(asked, actor=actor)
    if not actor.is_platform_staff:
        raise ForbiddenError("Only platform staff look up whose a tag is.")
    number = whole_number(asked, most=_LARGEST)
    if not number:
        says = f"{text.strip()!r} is neither an address, a VLAN tag nor a VNI."
        raise InvalidError(says, fields={"q": [says]})
    with platform_scope("owner of a tag"):
        return [*_vlans(number), *_vnis(number)]


def _vlans(tag: int) -> list[Holder]:
    grants = VlanGrant.objects.filter(first__lte=tag, last__gte=tag)
    claims = VlanClaim.objects.filter(tag=tag).select_related("tenant", "cluster")
    return [
        *(_granted(row) for row in grants.select_related("tenant", "cluster")[:_MOST]),
        *(_claimed(row, "VLAN") for row in claims[:_MOST]),
    ]


def _vnis(vni: int) -> list[Holder]:
    grants = VniGrant.objects.filter(first__lte=vni, last__gte=vni)
    claims = VniClaim.objects.filter(vni=vni).select_related("tenant", "cluster")
    return [
        *(_granted(row) for row in grants.select_related("tenant", "cluster")[:_MOST]),
        *(_claimed(row, "VNI") for row in claims[:_MOST]),
    ]


def _granted(row: VlanGrant | VniGrant) -> Holder:
    return Holder(
        kind="grant", value=str(row), vrf="", tenant=row.tenant.slug, cluster=row.cluster.name
    )


def _claimed(row: VlanClaim | VniClaim, kind: str) -> Holder:
    return Holder(
        kind=kind,
        value=str(row),
        vrf="",
        tenant=row.tenant.slug,
        cluster=row.cluster.name,
        user=row.user,
        plan_id=row.plan_id,
    )
