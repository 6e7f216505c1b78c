"""The schema says what the codec does."""

import jsonschema
import pytest
from hypothesis import given

from proxyconfig.domain.manifest import from_mapping, to_mapping
from proxyconfig.domain.schema import manifest_schema
from proxyconfig.tests.domain.strategies import WHOLE_INTENTS, intents
from tenants.errors import InvalidError

LISTENER = {"name": "a", "cluster": "local", "virtualAddress": "10.0.0.1", "port": 80}
RULE = {"order": 1, "cidr": "10.0.0.0/8", "ports": [443]}
VALIDATOR = jsonschema.Draft202012Validator(manifest_schema())


def test_schema_is_itself_valid():
    jsonschema.Draft202012Validator.check_schema(manifest_schema())


@WHOLE_INTENTS
@given(intent=intents())
def test_both_forms_of_a_manifest_fit_the_schema(intent):
    VALIDATOR.validate(to_mapping(intent))
    VALIDATOR.validate(to_mapping(intent, with_defaults=False))


def test_no_object_takes_unknown_keys():
    definitions = manifest_schema()["$defs"].values()

    assert {definition["additionalProperties"] for definition in definitions} == {False}


@pytest.mark.parametrize(
    "spec",
    [
        {"listeners": [LISTENER]},
        {"egressPolicies": [{"name": "a", "rules": [RULE | {"granted": {"by": "ada"}}]}]},
    ],
)
def test_schema_and_codec_take_the_same(spec):
    document = _document(spec)

    assert VALIDATOR.is_valid(document)
    assert from_mapping(document).tenant == "acme"


@pytest.mark.parametrize(
    "spec",
    [
        {"listeners": [LISTENER | {"port": 70000}]},
        {"listeners": [LISTENER | {"name": "A"}]},
        {"listeners": [{key: LISTENER[key] for key in LISTENER if key != "cluster"}]},
        {"listeners": {}},
        {"unknown": 1},
        {"namespaces": ["acme-prod"]},
        {"virtualAddresses": ["10.0.0.1"]},
        {"egressPolicies": [{"name": "a", "rules": [RULE | {"granted": True}]}]},
        {"egressPolicies": [{"name": "a", "rules": [], "mode": "off"}]},
    ],
)
def test_schema_and_codec_refuse_the_same(spec):
    document = _document(spec)

    assert not VALIDATOR.is_valid(document)
    with pytest.raises(InvalidError):
        from_mapping(document)


def _document(spec: dict[str, object]) -> dict[str, object]:
    return {
        "apiVersion": "sluice/v2",
        "kind": "TenantIntent",
        "metadata": {"name": "acme"},
        "spec": spec,
    }
