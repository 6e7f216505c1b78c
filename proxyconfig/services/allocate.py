"""Filling "next" in a request with what is free, under the lock of what it is taken from.

What is filled in is claimed by the edit of the same transaction, so that of many callers at once
each gets another answer.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from django.db import transaction

from proxyconfig.domain.intent import Intent
from proxyconfig.services.rows import build_intent
from tenants import locks
from tenants.domain.claims import DEFAULT_VRF, AddressRole
from tenants.domain.numbers import whole_number
from tenants.errors import InvalidError
from tenants.models.tenant import Cluster, Tenant
from tenants.models.vrf import Vrf
from tenants.services import allocation
from tenants.services.allocation import Wish

NEXT: Final = "next"
Values = dict[str, Any]  # Any: an object's fields, as a request has them.


@contextmanager
def locked(tenant: Tenant) -> Iterator[None]:
    """One transaction that holds the tenant, for an edit that allocates first."""
    with transaction.atomic():
        locks.tenant(tenant.pk)
        yield


def fill(
    tenant: Tenant,
    collection: str,
    values: Values,
    *,
    lock: bool = True,
    intent: Intent | None = None,
) -> Values:
    """The fields of an object with each "next" (and "next/24" for a prefix) filled in.

    Args:
        intent: what the object is part of, where that is not what is in force.
        lock: False for a suggestion that nothing claims. With it call this inside ``locked``.

    Raises:
        InvalidError: nothing of the kind was granted, or what it depends on is not there.
        ConflictError: nothing is free (``pool-full``).
    """
    filler = _FILLERS.get(collection)
    if filler is None or not _asks(values):
        return values
    if lock:
        allocation.lock_parents(tenant)
    if filler is _self_ip:
        return _self_ip(tenant, dict(values), lock, intent)
    return filler(tenant, dict(values), lock)


def _asks(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(_asks(child) for child in value.values())
    if isinstance(value, list | tuple):
        return any(_asks(child) for child in value)
    return isinstance(value, str) and (value == NEXT or value.startswith(f"{NEXT}/"))


def _segment(tenant: Tenant, values: Values, lock: bool) -> Values:
    cluster, vrf = _cluster(values), _vrf(values)
    if values.get("vlan_tag") == NEXT:
        values["vlan_tag"] = allocation.next_vlan(tenant, cluster, values["trunk"], lock=lock)
    if values.get("vni") == NEXT:
        values["vni"] = allocation.next_vni(tenant, cluster, lock=lock)
    taken: list[str] = []
    subnets = []
    for subnet in values["subnets"]:
        prefix, gateway = str(subnet["prefix"]), subnet.get("gateway")
        if prefix.startswith(NEXT):
            length = _length(prefix)
            version = 6 if length > 32 else 4
            wish = Wish(skip=tuple(taken))
            prefix = allocation.next_prefix(
                tenant, cluster, vrf, length, version=version, lock=lock, wish=wish
            )
        if gateway == NEXT:
            gateway = allocation.next_in_subnet(tenant, cluster, vrf, prefix)
        taken.append(prefix)
        subnets.append({**subnet, "prefix": prefix, "gateway": gateway})
    return {**values, "subnets": subnets}


def _length(text: str) -> int:
    _, _, length = text.partition("/")
    number = whole_number(length, most=128)
    if not number:
        says = f"{text!r} names no size; write next/24, or next/64 for IPv6"
        raise InvalidError(f"{says}.", fields={"subnets": [says]})
    return number


def _virtual_address(tenant: Tenant, values: Values, lock: bool) -> Values:
    address = allocation.next_address(
        tenant, _cluster(values), _vrf(values), role=AddressRole.VIRTUAL, lock=lock
    )
    return {**values, "address": address}


def _snat_pool(tenant: Tenant, values: Values, lock: bool) -> Values:
    addresses: list[str] = []
    for address in values["addresses"]:
        if address == NEXT:
            wish = Wish(skip=(*addresses, *(a for a in values["addresses"] if a != NEXT)))
            address = allocation.next_address(
                tenant,
                _cluster(values),
                _vrf(values),
                role=AddressRole.SNAT,
                lock=lock,
                wish=wish,
            )
        addresses.append(address)
    return {**values, "addresses": addresses}


def _self_ip(tenant: Tenant, values: Values, lock: bool, intent: Intent | None = None) -> Values:
    intent = build_intent(tenant) if intent is None else intent
    segments = {segment.name: segment for segment in intent.segments}
    segment = segments.get(values["segment"])
    if segment is None or not segment.subnets:
        says = f"there is no segment {values['segment']} with a subnet"
        raise InvalidError(f"{says[0].upper()}{says[1:]}.", fields={"segment": [says]})
    where = {"cluster": segment.cluster, "vrf": segment.vrf}
    address = allocation.next_in_subnet(
        tenant, _cluster(where), _vrf(where), segment.subnets[0].cidr, lock=lock
    )
    return {**values, "address": address}


_FILLERS: Final[Mapping[str, Callable[[Tenant, Values, bool], Values]]] = {
    "segments": _segment,
    "virtual-addresses": _virtual_address,
    "snat-pools": _snat_pool,
    "self-ips": _self_ip,
}


def _cluster(values: Mapping[str, Any]) -> Cluster:
    found = Cluster.objects.filter(name=values["cluster"]).first()
    if found is None:
        says = f"there is no cluster {values['cluster']}"
        raise InvalidError(f"{says[0].upper()}{says[1:]}.", fields={"cluster": [says]})
    return found


def _vrf(values: Mapping[str, Any]) -> Vrf:
    name = values.get("vrf") or DEFAULT_VRF
    found = Vrf.objects.filter(name=name).first()
    if found is None:
        says = f"there is no VRF {name}"
        raise InvalidError(f"{says[0].upper()}{says[1:]}.", fields={"vrf": [says]})
    return found
