"""What people do, as pure functions from an intent to an intent, whatever door it comes through.

``services/plans.py`` runs them on what is in force, and decides what becomes of the result.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from proxyconfig.domain import grants, notation, objects
from proxyconfig.domain.fields import Mode, Protocol
from proxyconfig.domain.intent import (
    Backend,
    EgressPolicy,
    IngressPolicy,
    Intent,
    Listener,
    VirtualAddress,
)
from proxyconfig.domain.objects import BY_NAME, Key, key_of
from proxyconfig.domain.references import renamed, users
from tenants.errors import ConflictError, InvalidError, NotVisibleError

Edit = Callable[[Intent], Intent]


@dataclass(frozen=True, slots=True)
class ObjectEdit:
    """An edit of one object; ``key`` is what it leaves it under."""

    key: Key
    run: Edit

    def __call__(self, intent: Intent) -> Intent:
        """The intent with the edit done."""
        return self.run(intent)


_MOST_NAMED = 5
# The field that makes an object another one, where that is not its name.
_KEY_FIELDS = {"self-ips": "number", "virtual-addresses": "address"}
_LONGEST_NAME = 63
_PORT = re.compile(r"[1-9][0-9]{0,4}")


def create(item: objects.IntentObject) -> ObjectEdit:
    """Add an object.

    Raises (when it runs):
        ConflictError: code ``taken``; the tenant has one of that name.
    """

    def edit(intent: Intent) -> Intent:
        _check_free(intent, key_of(item))
        return objects.put(intent, item)

    return ObjectEdit(key_of(item), edit)


def change(key: Key, item: objects.IntentObject) -> ObjectEdit:
    """Put ``item`` in the place of the object with that key, under another name too.

    What names the object follows a new name; listeners follow a virtual address on its cluster.

    Raises (when it runs):
        NotVisibleError: there is no such object.
        ConflictError: code ``taken``; its new name is another object's.
    """

    def edit(intent: Intent) -> Intent:
        known = find(intent, key)
        if key_of(item) == key:
            return objects.put(intent, item)
        _check_free(intent, key_of(item))
        following = renamed(intent, known, item)
        if isinstance(known, VirtualAddress) and known.cluster == item.cluster:
            following = _with_listeners(following, known, item.address)
        return objects.put(objects.remove(following, key), item)

    return ObjectEdit(key_of(item), edit)


def delete(key: Key) -> Edit:
    """Take an object away, and with an ingress policy the listener that was made for it alone.

    Raises (when it runs):
        NotVisibleError: there is no such object.
        ConflictError: code ``in-use``; the message names what uses it.
    """

    def edit(intent: Intent) -> Intent:
        item = find(intent, key)
        if used := users(intent, key):
            named = ", ".join(str(user) for user in used[:_MOST_NAMED])
            more = f" and {len(used) - _MOST_NAMED} more" if len(used) > _MOST_NAMED else ""
            says = f"{str(key)[0].upper()}{str(key)[1:]}"
            raise ConflictError(
                f"{says} is used by {named}{more}. Change or delete that first.",
                code="in-use",
                data={"users": [f"{user.collection}/{user.name}" for user in used]},
            )
        left = objects.remove(intent, key)
        return _without_idle(left, item.listener) if isinstance(item, IngressPolicy) else left

    return edit


def become(wanted: Intent) -> Edit:
    """The whole of another intent, as a roll back or a manifest wants it."""

    def edit(intent: Intent) -> Intent:
        return replace(wanted, tenant=intent.tenant)

    return edit


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressDraft:
    """An ingress policy together with the address, port and protocol that it opens.

    Attributes:
        cluster: "" where only one cluster has the virtual address.
        tls: a TLS reference; the proxy then ends TLS.
        allowed_sources: networks in CIDR notation; with ``source_lists`` empty too, any client.
    """

    name: str
    virtual_address: str
    port: int
    namespace: str
    cluster: str = ""
    protocol: Protocol = Protocol.HTTP
    tls: str | None = None
    service: str = "ragapp"
    service_port: int = 8080
    hostnames: tuple[str, ...] = ()
    path_prefix: str = "/"
    allowed_sources: tuple[str, ...] = ()
    source_lists: tuple[str, ...] = ()
    order: int = 100
    mode: Mode = Mode.ENFORCED
    description: str = ""


def draft_of(intent: Intent, policy: IngressPolicy) -> IngressDraft:
    """The draft that makes ``policy`` and its listener as they are."""
    listener = _listener(intent, policy.listener)
    return IngressDraft(
        name=policy.name,
        virtual_address=listener.virtual_address,
        cluster=listener.cluster,
        port=listener.port,
        protocol=listener.protocol,
        tls=listener.tls,
        namespace=policy.backend.namespace,
        service=policy.backend.service,
        service_port=policy.backend.port,
        hostnames=policy.hostnames,
        path_prefix=policy.path_prefix,
        allowed_sources=policy.sources,
        source_lists=policy.source_lists,
        order=policy.order,
        mode=policy.mode,
        description=policy.description,
    )


def save_ingress(draft: IngressDraft, *, name: str | None = None) -> ObjectEdit:
    """Make an ingress policy, or change the one called ``name``, and its listener with it.

    A listener that the policy leaves behind, and that was made for it alone, goes.

    Raises (when it runs):
        NotVisibleError: there is no policy ``name``.
        ConflictError: code ``taken``; the draft's name is another policy's.
        InvalidError: the virtual address is not the tenant's, or is on several clusters.
    """

    def edit(intent: Intent) -> Intent:
        known = None if name is None else find(intent, Key("ingress-policies", name))
        if known is None or known.name != draft.name:
            _check_free(intent, Key("ingress-policies", draft.name))
        left = intent if known is None else objects.remove(intent, key_of(known))
        cluster = draft.cluster or _only_cluster(left, draft.virtual_address)
        listener = _listener_at(left, draft, cluster)
        if known is not None and (listener is None or listener.name != known.listener):
            left = _without_idle(left, known.listener)
        listener = listener or _new_listener(left, draft, cluster)
        return objects.put(left, replace(listener, tls=draft.tls), _policy(draft, listener))

    return ObjectEdit(Key("ingress-policies", draft.name), edit)


def save_egress(policy: EgressPolicy, *, name: str | None = None) -> ObjectEdit:
    """Make an egress policy, or change the one called ``name``.

    A rule for what the policy has granted, or a part of it, keeps the grant: whoever edits the rest
    neither gives nor takes a platform administrator's word. Other private rules ask for one, and
    so do all where the policy gets another name.

    Raises (when it runs):
        NotVisibleError: there is no policy ``name``.
        ConflictError: code ``taken``; the policy's name is another one's.
    """

    def edit(intent: Intent) -> Intent:
        save = create(policy) if name is None else change(Key("egress-policies", name), policy)
        return grants.asking(intent, save(intent), policy.name)

    return ObjectEdit(key_of(policy), edit)


def find(intent: Intent, key: Key) -> objects.IntentObject:
    """The object with that key.

    Raises:
        NotVisibleError: the tenant has none.
    """
    item = objects.find(intent, key)
    if item is None:
        label = BY_NAME[key.collection].label
        raise NotVisibleError(f"There is no {label} {key.name} here. List them to see which exist.")
    return item


def listener_name(
    intent: Intent, *, cluster: str, protocol: Protocol, address: str, port: int
) -> str:
    """The name of a new listener: protocol, address and port as one DNS label, unique here.

    It begins with a letter and ends with a letter or digit for IPv6 too: ``http-2001-db8--1-443``.
    Where another cluster's listener has that name, the cluster follows.
    """
    name = f"{protocol}-{address.replace('.', '-').replace(':', '-')}-{port}"
    taken = {listener.name for listener in intent.listeners}
    return f"{name}-{cluster}"[:_LONGEST_NAME].rstrip("-") if name in taken else name


def _policy(draft: IngressDraft, listener: Listener) -> IngressPolicy:
    return IngressPolicy(
        name=draft.name,
        listener=listener.name,
        backend=Backend(namespace=draft.namespace, service=draft.service, port=draft.service_port),
        hostnames=draft.hostnames,
        path_prefix=draft.path_prefix,
        sources=draft.allowed_sources,
        source_lists=draft.source_lists,
        order=draft.order,
        mode=draft.mode,
        description=draft.description,
    )


def _listener_at(intent: Intent, draft: IngressDraft, cluster: str) -> Listener | None:
    """The tenant's listener at the place that the draft opens."""
    wanted = (cluster, draft.virtual_address, draft.port, draft.protocol)
    for listener in intent.listeners:
        place = (listener.cluster, listener.virtual_address, listener.port, listener.protocol)
        if place == wanted:
            return listener
    return None


def _new_listener(intent: Intent, draft: IngressDraft, cluster: str) -> Listener:
    name = listener_name(
        intent,
        cluster=cluster,
        protocol=draft.protocol,
        address=draft.virtual_address,
        port=draft.port,
    )
    _check_free(intent, Key("listeners", name))
    return Listener(
        name=name,
        cluster=cluster,
        virtual_address=draft.virtual_address,
        port=draft.port,
        protocol=draft.protocol,
    )


def _only_cluster(intent: Intent, address: str) -> str:
    clusters = [entry.cluster for entry in intent.virtual_addresses if entry.address == address]
    if len(clusters) == 1:
        return clusters[0]
    if clusters:
        says = f"{address} is on the clusters {', '.join(clusters)}; name one of them"
        raise InvalidError(f"{says}.", fields={"cluster": [says]})
    held = [entry.address for entry in intent.virtual_addresses]
    named = ", ".join(held[:20]) or "none yet; ask NetOps to add one"
    says = f"{address} is no virtual address of this tenant. It has: {named}"
    raise InvalidError(f"{says}.", fields={"virtual_address": [says]})


def _listener(intent: Intent, name: str) -> Listener:
    return next(listener for listener in intent.listeners if listener.name == name)


def _without_idle(intent: Intent, name: str) -> Intent:
    """Without the listener ``name``, where no policy uses it and its name says it was made here."""
    listener = objects.find(intent, Key("listeners", name))
    if listener is None or any(policy.listener == name for policy in intent.ingress_policies):
        return intent
    return objects.remove(intent, key_of(listener)) if _was_made(listener) else intent


def _was_made(listener: Listener) -> bool:
    """True for a name as ``listener_name`` gives them, whatever place was edited into it since."""
    name, cluster = listener.name, listener.cluster
    stems = [name, name.removesuffix(f"-{cluster}")]
    if len(name) >= _LONGEST_NAME - 1:  # The cluster may have been cut, and a hyphen with it.
        stems += [name.removesuffix(f"-{cluster[:end]}") for end in range(1, len(cluster))]
    return any(map(_is_place, stems))


def _is_place(name: str) -> bool:
    """True for protocol, address and port in one name."""
    protocol, _, rest = name.partition("-")
    address, _, port = rest.rpartition("-")
    if protocol not in list(Protocol) or not _PORT.fullmatch(port):
        return False
    spelled = (address.replace("-", separator) for separator in ".:")
    return any(not notation.complaint("address", text) for text in spelled)


def _with_listeners(intent: Intent, known: VirtualAddress, address: str) -> Intent:
    """The listeners on a virtual address moved to another, renamed where the name says the old."""
    for listener in intent.listeners:
        if (listener.cluster, listener.virtual_address) != (known.cluster, known.address):
            continue
        moved = replace(listener, virtual_address=address)
        if _was_made(listener):
            name = listener_name(
                intent,
                cluster=moved.cluster,
                protocol=moved.protocol,
                address=address,
                port=moved.port,
            )
            # Where another listener has that name too, it stays as it is called.
            if objects.find(intent, Key("listeners", name)) is None:
                moved = replace(moved, name=name)
        intent = change(key_of(listener), moved)(intent)
    return intent


def _check_free(intent: Intent, key: Key) -> None:
    if objects.find(intent, key) is not None:
        label = BY_NAME[key.collection].label
        message = f"The tenant has {_article(label)} {label} {key.name} already."
        field = _KEY_FIELDS.get(key.collection, "name")
        raise ConflictError(
            message, code="taken", fields={field: [message]}, data={"value": key.name}
        )


def _article(word: str) -> str:
    return "an" if word[0] in "aeiouAEIOS" else "a"
