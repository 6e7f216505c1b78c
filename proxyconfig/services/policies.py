"""Saving and deleting what people say may come in and go out.

Each function is one transaction: the rows, the audit entry and the plan that follows from them. A
plan that a rule approves is current when it returns; another waits for a second person.
"""

from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from proxyconfig.domain.destinations import can_be_granted
from proxyconfig.domain.notation import as_network
from proxyconfig.models import (
    EgressPolicy,
    EgressRule,
    IngressPolicy,
    Listener,
    Plan,
    Protocol,
)
from proxyconfig.services import plans
from proxyconfig.services.restore import Grant, existing_grants, grant_key
from tenants import audit
from tenants.domain.actor import Actor
from tenants.errors import ForbiddenError, InvalidError
from tenants.models.segment import VirtualAddress
from tenants.models.tenant import Namespace, Tenant
from tenants.services import conflicts
from tenants.services.conflicts import Taken


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressDraft:
    """What somebody wants an ingress policy to be.

    Attributes:
        virtual_address: one of the tenant's, as text.
        namespace: name of one of the tenant's.
        allowed_sources: networks in CIDR notation; empty lets any client in.
    """

    name: str
    virtual_address: str
    port: int
    namespace: str
    protocol: Protocol = Protocol.HTTP
    service: str = "ragapp"
    service_port: int = 8080
    hostnames: tuple[str, ...] = ()
    path_prefix: str = "/"
    allowed_sources: tuple[str, ...] = ()
    is_enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDraft:
    """One destination: ``host`` (exact, or ``*.suffix``) or ``network`` (CIDR), and its ports."""

    host: str = ""
    network: str | None = None
    ports: tuple[int, ...] = (443,)


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressDraft:
    """What somebody wants an egress policy to be; the rules are the whole list, in order."""

    name: str
    rules: tuple[RuleDraft, ...]
    is_enabled: bool = True


def save_ingress(
    tenant: Tenant,
    draft: IngressDraft,
    *,
    actor: Actor,
    reason: str,
    policy: IngressPolicy | None = None,
) -> Plan:
    """Make an ingress policy, or with ``policy`` change that one.

    Raises:
        InvalidError: a field cannot be taken, or the tenant's proxy cannot do it.
        ConflictError: the tenant has a policy of that name.
    """
    event = "ingress-policy.created" if policy is None else "ingress-policy.changed"
    row = policy or IngressPolicy(tenant=tenant)
    with transaction.atomic():
        plans.lock(tenant)
        row.listener = _listener(tenant, draft, actor)
        row.namespace = _namespace(tenant, draft.namespace)
        row.name, row.service, row.service_port = draft.name, draft.service, draft.service_port
        row.hostnames, row.path_prefix = list(draft.hostnames), draft.path_prefix
        row.allowed_sources = list(draft.allowed_sources)
        row.is_enabled = draft.is_enabled
        conflicts.save(row, actor=actor, taken={"ingress_policy_name": _name_taken(row)})
        _drop_unused_listeners(tenant)
        audit.record(actor, event, row, reason=reason)
        return plans.propose(tenant, actor=actor, reason=reason)


def delete_ingress(policy: IngressPolicy, *, actor: Actor, reason: str) -> Plan:
    """Take an ingress policy away; a listener that no policy uses any more goes with it."""
    with transaction.atomic():
        plans.lock(policy.tenant)
        audit.record(actor, "ingress-policy.deleted", policy, reason=reason)
        policy.delete()
        _drop_unused_listeners(policy.tenant)
        return plans.propose(policy.tenant, actor=actor, reason=reason)


def save_egress(
    tenant: Tenant,
    draft: EgressDraft,
    *,
    actor: Actor,
    reason: str,
    policy: EgressPolicy | None = None,
) -> Plan:
    """Make an egress policy, or with ``policy`` change that one.

    A rule for a private network takes effect only when a platform administrator granted it. One
    who saves it grants it; anybody else's save keeps a grant where network and ports are the same.

    Raises:
        InvalidError: a field cannot be taken, or the tenant's proxy cannot do it.
        ConflictError: the tenant has a policy of that name.
    """
    event = "egress-policy.created" if policy is None else "egress-policy.changed"
    row = policy or EgressPolicy(tenant=tenant)
    known_name = row.name
    with transaction.atomic():
        plans.lock(tenant)
        grants = existing_grants(tenant)
        row.name, row.is_enabled = draft.name, draft.is_enabled
        conflicts.save(row, actor=actor, taken={"egress_policy_name": _name_taken(row)})
        rules = [
            _rule(row, order, rule, actor=actor) for order, rule in enumerate(draft.rules, start=1)
        ]
        for rule in rules:
            _check(rule)
            _keep_grant(rule, grants.get(grant_key(known_name, rule.network, rule.ports)))
        EgressRule.objects.filter(tenant=tenant, policy=row).delete()
        EgressRule.objects.bulk_create(rules)
        audit.record(actor, event, row, reason=reason)
        return plans.propose(tenant, actor=actor, reason=reason)


def delete_egress(policy: EgressPolicy, *, actor: Actor, reason: str) -> Plan:
    """Take an egress policy away; what it alone allowed is cut once a worker has reconciled."""
    with transaction.atomic():
        plans.lock(policy.tenant)
        audit.record(actor, "egress-policy.deleted", policy, reason=reason)
        policy.delete()
        return plans.propose(policy.tenant, actor=actor, reason=reason)


def grant_rule(rule: EgressRule, *, actor: Actor, reason: str) -> Plan:
    """Let a rule reach the private network that it names.

    Raises:
        ForbiddenError: the actor is no platform administrator.
        InvalidError: the rule names no private network.
    """
    if not actor.is_platform_admin:
        raise ForbiddenError(
            f"Only a platform administrator may let a rule reach {rule.destination}. Ask one to"
            " grant it."
        )
    if not _is_private(rule.network):
        message = (
            f"{rule.destination} needs no grant: only a private network, named in CIDR notation,"
            " does."
        )
        raise InvalidError(message, fields={"network": [message]})
    with transaction.atomic():
        plans.lock(rule.tenant)
        rule.granted_by_id, rule.granted_at = actor.user_id, timezone.now()
        rule.save(update_fields=["granted_by", "granted_at"])
        audit.record(actor, "egress-rule.granted", rule, reason=reason)
        return plans.propose(rule.tenant, actor=actor, reason=reason)


def _listener(tenant: Tenant, draft: IngressDraft, actor: Actor) -> Listener:
    """The tenant's listener on that address and port, made when there is none."""
    addresses = VirtualAddress.objects.filter(tenant=tenant)
    address = addresses.filter(address=draft.virtual_address).first()
    if address is None:
        raise _unknown("virtual_address", f"{draft.virtual_address} is no", "address", addresses)
    same = {"virtual_address": address, "port": draft.port, "protocol": draft.protocol.value}
    listener = Listener.objects.filter(tenant=tenant, **same).first()
    if listener is None:
        listener = Listener(tenant=tenant, **same)
        taken = Taken(f"{listener}", lambda: Listener.objects.filter(tenant=tenant, **same))
        conflicts.save(listener, actor=actor, taken={"listener_one_owner": taken})
    return listener


def _namespace(tenant: Tenant, name: str) -> Namespace:
    namespaces = Namespace.objects.filter(tenant=tenant)
    namespace = namespaces.filter(name=name).order_by("pk").first()
    if namespace is None:
        raise _unknown("namespace", f"{name} is no", "namespace", namespaces)
    return namespace


def _unknown(
    field: str,
    says: str,
    kind: str,
    rows: QuerySet[VirtualAddress] | QuerySet[Namespace],
) -> InvalidError:
    known = ", ".join(str(row) for row in rows) or "none yet; ask NetOps to add one"
    message = f"{says} {kind} of this tenant. It has: {known}."
    return InvalidError(message, fields={field: [message]})


def _drop_unused_listeners(tenant: Tenant) -> None:
    Listener.objects.filter(tenant=tenant, policies__isnull=True).delete()


def _name_taken(row: IngressPolicy | EgressPolicy) -> Taken:
    kind = row._meta.verbose_name
    rows = type(row)._default_manager.filter(tenant=row.tenant, name=row.name)
    return Taken(f"The {kind} name {row.name}", lambda: rows)


def _rule(policy: EgressPolicy, order: int, draft: RuleDraft, *, actor: Actor) -> EgressRule:
    rule = EgressRule(
        tenant=policy.tenant,
        policy=policy,
        order=order,
        host=draft.host,
        network=draft.network or None,
        ports=sorted(set(draft.ports)),
    )
    if actor.is_platform_admin and _is_private(draft.network):
        rule.granted_by_id, rule.granted_at = actor.user_id, timezone.now()
    return rule


def _keep_grant(rule: EgressRule, grant: Grant | None) -> None:
    if grant is not None:
        rule.granted_by_id, rule.granted_at = grant.user_id, grant.at


def _check(rule: EgressRule) -> None:
    """Say in words what the database holds, and what the fields of a rule take."""
    if bool(rule.host) == bool(rule.network):
        raise _rule_error(rule, "name a host or a network, one of the two")
    if not rule.ports:
        raise _rule_error(rule, "name at least one port, for example 443")
    try:
        rule.clean_fields(exclude=["tenant", "policy", "granted_by"])
    except ValidationError as error:
        said = conflicts.invalid(error)
        complaints = [
            f"rule {rule.order}: {text}" for texts in said.fields.values() for text in texts
        ]
        raise InvalidError(said.message, fields={"rules": complaints}) from error


def _rule_error(rule: EgressRule, says: str) -> InvalidError:
    complaint = f"rule {rule.order}: {says}"
    return InvalidError(f"{complaint}.", fields={"rules": [complaint]})


def _is_private(network: str | None) -> bool:
    try:
        return network is not None and can_be_granted(as_network(network))
    except ValueError:
        return False
