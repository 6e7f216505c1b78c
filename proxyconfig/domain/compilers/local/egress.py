"""Egress: one entry per tenant, its credential hash and its rules in the order of matching."""

from datetime import UTC
from typing import Final

from proxyconfig.domain.fields import JsonValue, PortRange, Transport
from proxyconfig.domain.intent import EgressPolicy, EgressRule, Intent
from proxyconfig.domain.resources import Resource
from tenants.domain.notation import as_network

EGRESS_TENANT: Final = "EgressTenant"


def egress_resource(intent: Intent, *, credential_sha256: str) -> Resource:
    """The tenant's entry of the egress proxy; ``intent`` is canonical.

    Rule ids are ``tenant/policy/order``; what no rule matches is denied by ``tenant/default-deny``.
    """
    rules: list[JsonValue] = [
        _rule(intent, policy, rule)
        for policy in intent.egress_policies
        for rule in policy.rules
        if rule.protocol is Transport.TCP
    ]
    body: dict[str, JsonValue] = {
        "tenant": intent.tenant,
        "credential_sha256": credential_sha256,
        "rules": rules,
    }
    return Resource.of(EGRESS_TENANT, intent.tenant, body)


def _rule(intent: Intent, policy: EgressPolicy, rule: EgressRule) -> dict[str, JsonValue]:
    expires = policy.expires_at
    return {
        "id": f"{intent.tenant}/{policy.name}/{rule.order}",
        "action": rule.action.value,
        "mode": policy.mode.value,
        "host": rule.host,
        "networks": [*_networks(intent, rule)],
        "ports": [[ports.first, ports.last] for ports in _ports(intent, rule)],
        "granted": rule.granted is not None,
        "snat": [*_snat(intent, policy)],
        "expires_at": None if expires is None else expires.astimezone(UTC).isoformat(),
    }


def _networks(intent: Intent, rule: EgressRule) -> list[str]:
    if rule.cidr:
        return [str(as_network(rule.cidr))]
    lists = {entry.name: entry.addresses for entry in intent.address_lists}
    return sorted({str(as_network(text)) for text in lists.get(rule.address_list or "", ())})


def _ports(intent: Intent, rule: EgressRule) -> list[PortRange]:
    lists = {entry.name: entry.ports for entry in intent.port_lists}
    ranges = set(rule.ports)
    for name in rule.port_lists:
        ranges.update(lists.get(name, ()))
    return sorted(ranges)


def _snat(intent: Intent, policy: EgressPolicy) -> tuple[str, ...]:
    """The pool's addresses in order; a policy without a pool takes the tenant's only one."""
    pools = {pool.name: pool.addresses for pool in intent.snat_pools}
    if policy.snat_pool is not None:
        return pools.get(policy.snat_pool, ())
    return next(iter(pools.values())) if len(pools) == 1 else ()
