"""What is wrong with an intent, at the fields of the object that people edit.

A problem between two objects is told to whoever edits one of them at that one's own field. What is
wrong with another object names it in words, since the form and the body have no field for it.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from proxyconfig.domain import holdings, objects
from proxyconfig.domain.intent import Intent, SelfIp, VirtualAddress
from proxyconfig.domain.objects import BY_NAME, Key
from proxyconfig.domain.problems import Problem, Side
from tenants.errors import ConflictError, InvalidError

# By collection: what the REST API calls the manifest's fields, where the names differ.
API_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "segments": {
        "vlan": "kind",
        "vlan/interface": "trunk",
        "vlan/tag": "vlan_tag",
        "vlan/internal": "internal",
        "vxlan": "kind",
        "vxlan/vni": "vni",
        "vxlan/remote_vteps": "remote_vteps",
        "vxlan/port": "vxlan_port",
        "subnets/*/cidr": "subnets/*/prefix",
    },
    "ingress-policies": {
        "listener": "virtual_address",
        "sources": "allowed_sources",
        "backend": "service",
        "backend/namespace": "namespace",
        "backend/service": "service",
        "backend/port": "service_port",
    },
    "egress-policies": {
        "rules/*/cidr": "rules/*/network",
        "rules/*/granted": "rules/*",
        "rules/*/granted/by": "rules/*",
        "rules/*/granted/at": "rules/*",
    },
}
_RULE = re.compile(r"\.rules\[([0-9]+)\]")
_STEP = re.compile(r"([A-Za-z_]+)|\[([0-9]+)\]")
_SNAKE = re.compile(r"(?<=[a-z0-9])([A-Z])")


@dataclass(frozen=True, slots=True)
class _Complaint:
    """A problem as it is told: its field is "" where it is about another object, or the whole."""

    path: str
    code: str
    field: str
    message: str

    @property
    def words(self) -> str:
        """With the rule that it is about, since the API has one field for all of them."""
        return f"{_rule(self.path)}{self.message}" if self.field else self.message

    def plain(self) -> dict[str, str]:
        return {"path": self.path, "code": self.code, "message": self.message, "field": self.field}


def invalid(
    problems: Sequence[Problem], *, after: Intent, about: Key | None = None
) -> InvalidError:
    """One error for all problems; ``data["problems"]`` has them with the manifest's paths.

    Args:
        after: the intent that they are about.
        about: the object that was edited; None where several were.
    """
    complaints = [_told(problem, after, about) for problem in problems]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return InvalidError(
        f"The change cannot be taken: {complaints[0].words}{more}.",
        fields=_by_field(complaints),
        code="intent.invalid",
        data={"problems": [complaint.plain() for complaint in complaints]},
    )


@contextmanager
def at_fields(after: Intent, about: Key | None) -> Iterator[None]:
    """Run the block; put what it refuses of the claims of ``after`` at the fields that claim it."""
    try:
        yield
    except ConflictError as error:
        refused = {str(error.data.get("value", "")): error.message}
        complaints = _of_claims(refused, error.code, after, about)
        if not complaints:
            raise
        raise ConflictError(
            error.message,
            code=error.code,
            fields=_by_field(complaints),
            data={**error.data, "problems": [complaint.plain() for complaint in complaints]},
        ) from error
    except InvalidError as error:
        values: Any = error.data.get("values", ())  # Any: what the error was given for machines.
        refused = dict(zip(values, error.fields.get("", ()), strict=False))
        complaints = _of_claims(refused, error.code, after, about)
        if not complaints:
            raise
        raise InvalidError(
            error.message,
            code=error.code,
            fields=_by_field(complaints),
            data={**error.data, "problems": [complaint.plain() for complaint in complaints]},
        ) from error


def field_at(collection: str, place: str) -> str:
    """What the REST API calls a field of an object, by its path in the object.

    Its name, ``vlan_tag``; or what lies in it as a JSON pointer, ``/subnets/0/prefix``; "" for the
    object as a whole.
    """
    steps = [_SNAKE.sub(r"_\1", name).lower() or number for name, number in _STEP.findall(place)]
    numbers = iter([step for step in steps if step.isdecimal()])
    path = "/".join("*" if step.isdecimal() else step for step in steps)
    renamed = API_NAMES.get(collection, {})
    # The longest part of the path that has another name.
    for end in range(len(steps), 0, -1):
        head = "/".join(path.split("/")[:end])
        if head in renamed:
            path = renamed[head] + path[len(head) :]
            break
    found = "/".join(next(numbers) if step == "*" else step for step in path.split("/"))
    return f"/{found}" if "/" in found else found


def _of_claims(
    refused: Mapping[str, str], code: str, after: Intent, about: Key | None
) -> list[_Complaint]:
    """Those of the refused claims, by what they say of themselves, that the intent has."""
    paths = {str(claim): path for claim, path in holdings.placed(after)}
    return [
        _told(Problem(paths[value], code, message.rstrip(".")), after, about)
        for value, message in refused.items()
        if value in paths
    ]


def _told(problem: Problem, after: Intent, about: Key | None) -> _Complaint:
    """The problem from the side of the object that was edited, or with the other one's name."""
    mine = _edited(after, about)
    sides: tuple[Problem | Side, ...] = (problem, *problem.sides)
    for side in sides:
        key = objects.key_at(after, side.path)
        if key is not None and key in mine:
            return _Complaint(side.path, problem.code, _field(key, side.path), side.message)
    key = objects.key_at(after, problem.path)
    name = f"{_name(after, key)}: {_rule(problem.path)}" if key is not None else ""
    return _Complaint(problem.path, problem.code, "", f"{name}{problem.message}")


def _edited(after: Intent, about: Key | None) -> Collection[Key]:
    """The object, and with an ingress policy its listener, which has the same form and body."""
    item = None if about is None else objects.find(after, about)
    if about is None or item is None:
        return ()
    if about.collection == "ingress-policies":
        return (about, Key("listeners", item.listener))
    return (about,)


def _field(key: Key, path: str) -> str:
    """The field of the object's body; a listener's as a whole is its port, a rule's all rules."""
    place = path.removeprefix("spec.").partition("]")[2]
    if _RULE.search(path):
        return "rules"  # A path has the rule's order, a pointer would have its place.
    return field_at(key.collection, place) or ("port" if key.collection == "listeners" else "")


def _rule(path: str) -> str:
    rule = _RULE.search(path)
    return f"rule {int(rule[1])}: " if rule else ""


def _name(after: Intent, key: Key) -> str:
    """``SNAT pool web``, and objects without a name by their address."""
    item = objects.objects(after)[key]
    label = BY_NAME[key.collection].label
    name = item.address if isinstance(item, SelfIp | VirtualAddress) else item.name
    where = f" of segment {item.segment}" if isinstance(item, SelfIp) else ""
    return f"{label[0].upper()}{label[1:]} {name}{where}"


def _by_field(complaints: Sequence[_Complaint]) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for complaint in complaints:
        fields.setdefault(complaint.field, []).append(complaint.words)
    return fields
