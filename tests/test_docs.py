"""The docs say all that they must, name nothing that is not there, and link to what exists."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from enum import StrEnum
from functools import cache
from pathlib import Path

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from proxyconfig.domain import fields as field_types
from proxyconfig.domain import guardrails, intent
from proxyconfig.domain.compilers import gateway, local
from proxyconfig.domain.conditions import NEXT_STEP, ConditionType, Reason
from proxyconfig.domain.limits import Limits
from tenants.domain import roles, states
from tests.wire import pages

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
APPS = ("deploy", "portal", "workers", "ragapp", "proxyconfig", "tenants")
OPENING_PAGES = ("README.md", "CHANGELOG.md")


@cache
def doc_pages() -> dict[Path, pages.Page]:
    files = [*pages.sources(DOCS), *(ROOT / name for name in OPENING_PAGES)]
    return {file: pages.read_page(ROOT, file) for file in files}


def codes_in(file: Path) -> set[str]:
    """Words that stand in back quotes in a page."""
    return set(re.findall(r"`([^`\n]+)`", file.read_text()))


def first_cells(file: Path, section: str = "") -> list[str]:
    """The back-quoted words in the first column of a page's tables, or of one section's."""
    text = file.read_text()
    if section:
        begin = text.index(f"## {section}\n")
        end = text.find("\n## ", begin + 1)
        text = text[begin : end if end > 0 else None]
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


def python_files(*folders: str) -> list[Path]:
    return [
        file
        for folder in folders
        for file in sorted((ROOT / folder).rglob("*.py"))
        if "tests" not in file.relative_to(ROOT).parts
    ]


def named_requirements(file: str) -> set[str]:
    lines = (ROOT / file).read_text().splitlines()
    found = (
        re.match(r"[A-Za-z0-9._-]+", line) for line in lines if not line.startswith(("#", "-"))
    )
    return {match[0].lower() for match in found if match}


@pytest.mark.parametrize(
    "file", ["requirements.in", "requirements-dev.in", "requirements-models.txt"]
)
def test_each_direct_dependency_has_its_line(file):
    assert named_requirements(file) - set(first_cells(DOCS / "dependencies.md")) == set()


def test_no_dependency_is_described_that_is_not_there():
    wanted = set().union(
        *map(
            named_requirements,
            ("requirements.in", "requirements-dev.in", "requirements-models.txt"),
        )
    )

    assert set(first_cells(DOCS / "dependencies.md")) - wanted == set()


def test_each_environment_variable_of_the_settings_is_explained():
    settings = (ROOT / "portal" / "settings.py").read_text()
    read = set(re.findall(r"env\.\w+\(\s*\"([A-Z_]+)\"", settings))

    assert read != set()
    assert read - set(first_cells(REFERENCE / "settings.md")) == set()


def test_no_environment_variable_is_explained_that_nobody_reads():
    code = "\n".join(file.read_text() for file in [*python_files(*APPS), ROOT / "conftest.py"])
    code += (ROOT / "Makefile").read_text()

    assert [name for name in first_cells(REFERENCE / "settings.md") if name not in code] == []


ENUMS = [
    value
    for value in vars(states).values()
    if isinstance(value, type) and issubclass(value, StrEnum) and value is not StrEnum
]


@pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: enum.__name__)
def test_each_state_is_explained_in_the_section_of_its_kind(enum):
    words = re.sub(r"(?<!^)([A-Z])", lambda match: f" {match[1].lower()}", enum.__name__)

    assert first_cells(REFERENCE / "states.md", words) == [member.value for member in enum]


def test_each_condition_type_and_reason_is_explained():
    page = REFERENCE / "conditions.md"

    assert first_cells(page, "Types") == [member.value for member in ConditionType]
    assert first_cells(page, "Reasons and what to do next") == [member.value for member in Reason]


def test_the_next_step_of_each_reason_is_the_one_that_the_portal_shows():
    text = (REFERENCE / "conditions.md").read_text()

    assert [step for step in NEXT_STEP.values() if step not in text] == []


def test_the_table_of_roles_is_the_table_of_the_code():
    text = (REFERENCE / "roles.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)`: [^|]+\|(.+)\|$", text, re.MULTILINE)
    shown = {action: [cell.strip() == "yes" for cell in cells.split("|")] for action, cells in rows}
    columns = re.findall(r"`(\w+)`", text[text.index("| action") : text.index("\n| ---")])

    assert shown == {
        action.value: [action in roles.GRANTS[roles.Role(column)] for column in columns]
        for action in roles.Action
    }


def raised_codes() -> set[str]:
    """Stable codes of errors: class defaults, and ``code=`` where an error is made."""
    found: set[str] = set()
    for file in python_files("tenants", "proxyconfig", "ragapp", "portal", "workers"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                names = {target.id for target in node.targets if isinstance(target, ast.Name)}
                found |= {str(node.value.value)} if "default_code" in names else set()
            if isinstance(node, ast.Call) and _callee(node).endswith("Error"):
                found |= {
                    str(keyword.value.value)
                    for keyword in node.keywords
                    if keyword.arg == "code" and isinstance(keyword.value, ast.Constant)
                }
    return found


def complaint_codes() -> set[str]:
    """Codes of what is wrong with an intent: the second argument of each ``Problem``."""
    found: set[str] = set()
    for file in python_files("proxyconfig"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and _callee(node) == "Problem" and len(node.args) > 1:
                code = node.args[1]
                found |= {str(code.value)} if isinstance(code, ast.Constant) else set()
    return found


def _callee(call: ast.Call) -> str:
    function = call.func
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def test_each_error_code_is_explained():
    documented = set(first_cells(REFERENCE / "errors.md"))
    refused = {*local.UNSUPPORTED, *gateway.UNSUPPORTED}

    assert (raised_codes() | complaint_codes() | refused) - documented == set()


def test_no_error_code_is_explained_that_is_never_raised():
    text = "\n".join(file.read_text() for file in python_files(*APPS))

    assert [code for code in first_cells(REFERENCE / "errors.md") if f'"{code}"' not in text] == []


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


POLICY_TYPES = {
    "Ingress policy": intent.IngressPolicy,
    "Backend": intent.Backend,
    "Listener": intent.Listener,
    "Egress policy": intent.EgressPolicy,
    "Egress rule": intent.EgressRule,
}


@pytest.mark.parametrize("section", POLICY_TYPES)
def test_each_field_of_a_policy_type_is_explained(section):
    assert first_cells(REFERENCE / "policy-types.md", section) == [
        camel(field.name) for field in fields(POLICY_TYPES[section])
    ]


@pytest.mark.parametrize(
    "kind",
    [
        intent.Intent,
        intent.SnatPool,
        intent.Segment,
        intent.VlanLink,
        intent.VxlanLink,
        intent.Subnet,
        intent.SelfIp,
        intent.StaticRoute,
        intent.BgpPeer,
        intent.AddressList,
        intent.PortList,
        intent.TlsReference,
    ],
    ids=lambda kind: kind.__name__,
)
def test_each_field_of_the_rest_of_an_intent_is_explained(kind):
    named = codes_in(REFERENCE / "policy-types.md") | codes_in(REFERENCE / "intent.md")

    # The tenant is the manifest's metadata.name.
    assert {camel(field.name) for field in fields(kind)} - named - {"tenant"} == set()


def test_each_choice_of_an_intent_is_explained():
    named = codes_in(REFERENCE / "policy-types.md")
    choices = (
        field_types.Protocol,
        field_types.Transport,
        field_types.Action,
        field_types.Mode,
        field_types.Advertised,
    )

    assert {member.value for enum in choices for member in enum} - named == set()


def test_each_field_is_explained_as_the_gateway_flavour_takes_it():
    text = (REFERENCE / "flavours.md").read_text()
    section = text[text.index("## Gateway API: fields") :]

    assert dict(re.findall(r"^\| `([^`]+)` \| (\w+) \|", section, re.MULTILINE)) == {
        field: coverage.value for field, coverage in gateway.COVERAGE.items()
    }


def test_each_finding_of_the_guardrails_is_explained():
    codes = {
        value
        for name, value in vars(guardrails).items()
        if name.isupper() and isinstance(value, str)
    }

    assert set(first_cells(REFERENCE / "guardrails.md", "Findings")) == codes


def test_each_limit_of_the_guardrails_is_explained():
    assert first_cells(REFERENCE / "guardrails.md", "Limits") == [
        camel(field.name) for field in fields(Limits)
    ]


def api_routes(patterns: list[URLPattern | URLResolver], above: str = "") -> Iterator[str]:
    """Paths below ``/api/v1/`` as the page writes them, with their methods."""
    for pattern in patterns:
        route = above + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from api_routes(pattern.url_patterns, route)
        elif route.startswith("api/v1/"):
            # HEAD comes with GET, and DRF adds it to the route with the first request.
            actions = getattr(pattern.callback, "actions", None) or {}
            methods = (name.upper() for name in actions if name != "head")
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.removeprefix("api/v1/"))
            yield f"{path} {', '.join(sorted(methods))}"


def test_each_resource_of_the_api_is_explained_with_its_methods():
    text = (REFERENCE / "api.md").read_text()
    section = text[text.index("## Resources") : text.index("## Beside the API")]
    rows = re.findall(r"^\| `([^`]+)` \| ([A-Z, ]+) \|", section, re.MULTILINE)
    explained = {f"{path} {', '.join(sorted(methods.split(', ')))}" for path, methods in rows}

    assert explained == set(api_routes(get_resolver().url_patterns))


def make_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", text, re.MULTILINE))


def test_each_make_target_is_explained_and_no_other():
    explained = {
        cell.removeprefix("make ").split()[0]
        for cell in first_cells(REFERENCE / "commands.md", "make")
        if cell != "make"
    }

    assert explained == make_targets()


def test_each_management_command_is_explained():
    commands = {
        file.stem
        for app in APPS
        for file in (ROOT / app).glob("management/commands/*.py")
        if file.stem != "__init__"
    }
    explained = set(first_cells(REFERENCE / "commands.md", "manage.py"))

    assert explained == commands


@pytest.mark.parametrize("name", OPENING_PAGES)
def test_the_opening_pages_name_only_targets_that_exist(name):
    called = set(re.findall(r"\bmake ([a-z][a-z-]*)", "\n".join(codes_in(ROOT / name))))
    fenced = "\n".join(re.findall(r"```.*?```", (ROOT / name).read_text(), re.DOTALL))
    called |= set(re.findall(r"^(?:\$ )?make ([a-z][a-z-]*)", fenced, re.MULTILINE))

    assert called - make_targets() == set()


def test_each_page_has_one_title_which_comes_first():
    wrong = [
        str(file.relative_to(ROOT))
        for file, page in doc_pages().items()
        if [heading.level for heading in page.headings].count(1) != 1
        or page.headings[0].level != 1
        or not file.read_text().startswith("# ")
    ]

    assert wrong == []


def test_each_internal_link_leads_somewhere():
    anchors = {
        file.resolve(): {heading.anchor for heading in page.headings}
        for file, page in doc_pages().items()
    }
    broken = []
    for file, page in doc_pages().items():
        for link in page.links:
            if re.match(r"[a-z]+:", link):
                continue
            path, _, fragment = link.partition("#")
            target = (file.parent / path).resolve() if path else file.resolve()
            if not target.exists() or (fragment and fragment not in anchors.get(target, ())):
                broken.append(f"{file.relative_to(ROOT)}: {link}")

    assert broken == []


def test_each_page_is_linked_from_the_first_page_of_the_docs():
    first = DOCS / "README.md"
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in doc_pages()[first].links}

    assert [
        str(file.relative_to(DOCS))
        for file in pages.sources(DOCS)
        if file != first and file.resolve() not in linked
    ] == []


def test_each_decision_is_dated():
    names = [file.name for file in (DOCS / "decisions").glob("*.md")]

    assert [name for name in names if not re.match(r"20\d\d-\d\d-\d\d-[a-z0-9-]+\.md", name)] == []
