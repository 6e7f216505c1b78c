"""Which plans a rule may approve at once, and which wait for a person.

Pure. The plan service asks ``findings``; no finding means that the rule approves.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from proxyconfig.domain.destinations import can_be_granted
from proxyconfig.domain.fields import Action, JsonValue, Mode
from proxyconfig.domain.intent import EgressPolicy, EgressRule, IngressPolicy, Intent
from proxyconfig.domain.notation import IpNetwork, as_network
from proxyconfig.domain.plan import Plan, PlanAction

# Below this, a port is one that the operating system gives to privileged processes only.
PRIVILEGED_PORTS_END: Final = 1024
MOST_DELETES: Final = 10
# By IP version. A shorter prefix is a good part of the internet: two of /1 are all of it.
BROADEST_PREFIX: Final = {4: 8, 6: 16}

APPROVAL_REQUIRED: Final = "approval-required"
OPEN_TO_ANY_SOURCE: Final = "open-to-any-source"
OPEN_TO_ANY_DESTINATION: Final = "open-to-any-destination"
MANY_DELETES: Final = "many-deletes"
PRIVATE_DESTINATION: Final = "private-destination"


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason why a person has to look at a plan.

    Attributes:
        code: stable word for machines; ``PRIVATE_DESTINATION`` needs a platform administrator.
    """

    code: str
    message: str

    def plain(self) -> dict[str, JsonValue]:
        """For storage and API."""
        return {"code": self.code, "message": self.message}


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the checks look at.

    Attributes:
        auto_apply: the tenant's wish that rules approve its plans.
        before: the intent that is current.
        after: the intent that the plan would make current.
        plan: what that changes on the proxies.
    """

    auto_apply: bool
    before: Intent
    after: Intent
    plan: Plan


def findings(proposal: Proposal) -> tuple[Finding, ...]:
    """Why a rule may not approve the proposal, in reading order; empty when it may."""
    return tuple(finding for check in CHECKS for finding in check(proposal))


def ungranted(intent: Intent) -> Iterator[tuple[EgressPolicy, EgressRule]]:
    """The rules that reach into private space without a platform administrator's grant.

    Disabled policies count too: enabling one later must not be a way around the grant.
    """
    for policy in intent.egress_policies:
        for rule in policy.rules:
            if rule.granted or rule.cidr is None or rule.action is Action.DENY:
                continue
            if can_be_granted(as_network(rule.cidr)):
                yield policy, rule


def _private_destination(proposal: Proposal) -> Iterator[Finding]:
    for policy, rule in ungranted(proposal.after):
        yield Finding(
            PRIVATE_DESTINATION,
            f"Egress policy {policy.name} reaches the private network {rule.cidr}. A platform"
            " administrator has to grant that by approving this plan.",
        )


def _open_to_any_source(proposal: Proposal) -> Iterator[Finding]:
    known = {replace(policy, description="") for policy in _open_policies(proposal.before)}
    ports = {listener.name: listener.port for listener in proposal.after.listeners}
    for policy in _open_policies(proposal.after):
        port = ports.get(policy.listener, 0)
        if port < PRIVILEGED_PORTS_END and replace(policy, description="") not in known:
            yield Finding(
                OPEN_TO_ANY_SOURCE,
                f"Ingress policy {policy.name} lets any client reach port {port}. Name the"
                " networks that may connect, or have somebody else approve it.",
            )


def _open_policies(intent: Intent) -> Iterator[IngressPolicy]:
    for policy in intent.ingress_policies:
        if policy.mode is Mode.ENFORCED and not policy.sources and not policy.source_lists:
            yield policy


def _open_to_any_destination(proposal: Proposal) -> Iterator[Finding]:
    known = set(_rules_to_anywhere(proposal.before))
    for name, cidr in _rules_to_anywhere(proposal.after):
        if (name, cidr) not in known:
            yield Finding(
                OPEN_TO_ANY_DESTINATION,
                f"Egress policy {name} allows a good part of the internet ({cidr}). Name the hosts"
                " or networks that are needed, or have somebody else approve it.",
            )


def _rules_to_anywhere(intent: Intent) -> Iterator[tuple[str, str]]:
    for policy in intent.egress_policies:
        for rule in policy.rules:
            if rule.cidr and rule.action is Action.ALLOW and _is_broad(as_network(rule.cidr)):
                yield policy.name, rule.cidr


def _is_broad(network: IpNetwork) -> bool:
    # A private network has a gate of its own, the grant.
    return network.prefixlen < BROADEST_PREFIX[network.version] and not can_be_granted(network)


def _many_deletes(proposal: Proposal) -> Iterator[Finding]:
    objects = proposal.plan.count(PlanAction.DELETE)
    policies = len(_policy_names(proposal.before) - _policy_names(proposal.after))
    deleted = max(objects, policies)
    if deleted > MOST_DELETES:
        yield Finding(
            MANY_DELETES,
            f"It deletes {deleted} objects; up to {MOST_DELETES} at once need no second person.",
        )


def _policy_names(intent: Intent) -> set[tuple[str, str]]:
    return {
        *(("ingress", policy.name) for policy in intent.ingress_policies),
        *(("egress", policy.name) for policy in intent.egress_policies),
    }


def _auto_apply_off(proposal: Proposal) -> Iterator[Finding]:
    if not proposal.auto_apply:
        yield Finding(
            APPROVAL_REQUIRED,
            f"Tenant {proposal.after.tenant} has every change approved by a second person.",
        )


# In the order in which people should read them.
CHECKS = (
    _private_destination,
    _open_to_any_source,
    _open_to_any_destination,
    _many_deletes,
    _auto_apply_off,
)
