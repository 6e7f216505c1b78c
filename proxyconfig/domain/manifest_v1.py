"""Manifests of ``sluice/v1``, in which most objects named no cluster, as ``sluice/v2``."""

from typing import Final

from proxyconfig.domain.fields import JsonValue

API_VERSION: Final = "sluice/v1"
_Mapping = dict[str, JsonValue]


def upgraded(document: JsonValue, *, home: str) -> JsonValue:
    """The same document in the present version; one of another version is given back as it is.

    Args:
        home: the cluster of what names none; "" leaves the document, to be refused by its version.
    """
    if not isinstance(document, dict) or document.get("apiVersion") != API_VERSION or not home:
        return document
    spec = document.get("spec") or {}
    if not isinstance(spec, dict):
        return document
    return {**document, "apiVersion": "sluice/v2", "spec": _spec(spec, home)}


def _spec(old: _Mapping, home: str) -> _Mapping:
    new = dict(old)
    new["namespaces"] = [{"name": name, "cluster": home} for name in _items(old, "namespaces")]
    new["segments"] = [_segment(segment, home) for segment in _records(old, "segments")]
    for name in ("snatPools", "staticRoutes", "bgpPeers", "listeners"):
        new[name] = [{**record, "cluster": home} for record in _records(old, name)]
    addresses = {str(record.get("virtualAddress")) for record in _records(old, "listeners")}
    new["virtualAddresses"] = [
        {"address": address, "cluster": home} for address in sorted(addresses)
    ]
    new["egressPolicies"] = [_egress_policy(policy) for policy in _records(old, "egressPolicies")]
    return {name: content for name, content in new.items() if content != []}


def _segment(old: _Mapping, home: str) -> _Mapping:
    cluster: JsonValue = home
    new = dict(old)
    for name in ("vlan", "vxlan"):
        link = old.get(name)
        if isinstance(link, dict):
            cluster = link.get("cluster", home)
            new[name] = {key: content for key, content in link.items() if key != "cluster"}
    return {**new, "cluster": cluster}


def _egress_policy(old: _Mapping) -> _Mapping:
    rules: list[JsonValue] = [
        {**rule, "granted": {"by": ""} if rule.get("granted") is True else None}
        for rule in _records(old, "rules")
    ]
    return {**old, "rules": rules}


def _items(mapping: _Mapping, name: str) -> list[JsonValue]:
    content = mapping.get(name) or []
    return content if isinstance(content, list) else []


def _records(mapping: _Mapping, name: str) -> list[_Mapping]:
    return [item for item in _items(mapping, name) if isinstance(item, dict)]
