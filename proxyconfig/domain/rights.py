"""The rights that a change needs: of all its parts, whichever door it comes through. Pure."""

from proxyconfig.domain.grants import new_grants
from proxyconfig.domain.intent import Intent, canonical
from proxyconfig.domain.objects import BY_NAME, Key, ObjectChange, difference, key_of
from tenants.domain.roles import Action


def required_actions(before: Intent, after: Intent) -> frozenset[Action]:
    """Every right that somebody needs who makes, approves or repeats this change."""
    return frozenset(parts_by_action(before, after))


def parts_by_action(before: Intent, after: Intent) -> dict[Action, tuple[Key, ...]]:
    """The objects of the change by the right that each needs, for a message that refuses it.

    A policy with a new grant of a private destination is named twice.
    """
    found: dict[Action, list[Key]] = {}
    announced = _announced_lists(before) | _announced_lists(after)
    for change in difference(canonical(before), canonical(after)):
        found.setdefault(_action(change, announced), []).append(change.key)
    for policy, _ in new_grants(before, after):
        keys = found.setdefault(Action.GRANT_PRIVATE, [])
        if key_of(policy) not in keys:
            keys.append(key_of(policy))
    return {action: tuple(keys) for action, keys in found.items()}


def _action(change: ObjectChange, announced: frozenset[str]) -> Action:
    key = change.key
    is_announced = key.collection == "address-lists" and key.name in announced
    is_network = BY_NAME[key.collection].is_network or is_announced
    return Action.EDIT_NETWORK if is_network else Action.EDIT_POLICY


def _announced_lists(intent: Intent) -> frozenset[str]:
    """The address lists that BGP peers are told: part of the network, whoever else uses them."""
    return frozenset(name for peer in intent.bgp_peers for name in peer.advertise_lists)
