"""The allow-list: who changes it, what it lets through, and that weights stay what they were."""

import json
from pathlib import Path

import pytest
from django.urls import reverse
from safetensors.torch import load_file, save_file

from ragapp.domain.engine import Message
from ragapp.models import LanguageModel, ModelKind
from ragapp.services import serving
from ragapp.tests.engines.completion_server import serve
from ragapp.tests.engines.conftest import model_folder
from ragapp.tests.engines.contract import CHAT
from tenants.errors import ForbiddenError, PermanentError
from tenants.models import AuditEntry, platform_scope

__all__ = ["model_folder"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def tiny(model_folder):
    yield LanguageModel.objects.create(name="tiny", location=str(model_folder), dtype="float32")
    serving.close()


def test_a_model_on_the_list_answers(tiny):
    session = serving.engine("tiny").open(CHAT)

    assert session.generate("", max_new_tokens=3).tokens == 3
    session.close()


def test_a_model_that_is_not_on_the_list_is_refused(tiny):
    LanguageModel.objects.filter(pk=tiny.pk).update(is_allowed=False)

    for name in ("tiny", "other", "../../etc"):
        with pytest.raises(ForbiddenError, match="not on the list"):
            serving.engine(name)


def test_weights_are_put_on_record_and_a_change_is_noticed(tiny, model_folder, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in model_folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    LanguageModel.objects.filter(pk=tiny.pk).update(location=str(copy))
    serving.engine("tiny")
    tiny.refresh_from_db()
    assert len(tiny.sha256) == 64
    serving.close()

    weights = load_file(copy / "model.safetensors")
    name = next(iter(weights))
    save_file({**weights, name: weights[name] + 1}, copy / "model.safetensors", {"format": "pt"})

    with pytest.raises(PermanentError, match="not those that were allowed") as caught:
        serving.engine("tiny")
    assert caught.value.code == "model-changed"


def test_pickled_weights_are_never_read(tiny, model_folder, tmp_path):
    for file in model_folder.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    LanguageModel.objects.filter(pk=tiny.pk).update(location=str(tmp_path))

    with pytest.raises(PermanentError, match="no safetensors"):
        serving.engine("tiny")


def test_a_hub_is_not_asked_unless_it_may_be(tiny):
    LanguageModel.objects.filter(pk=tiny.pk).update(location="nobody/no-such-model")

    with pytest.raises(PermanentError, match="cannot be loaded"):
        serving.engine("tiny")


def test_a_server_on_the_list_answers(model_folder):
    with serve(model_folder) as server:
        LanguageModel.objects.create(
            name="served", kind=ModelKind.SERVER, location="tiny", base_url=server.base_url
        )
        session = serving.engine("served").open([Message("user", "Hello")])

        assert session.generate("", max_new_tokens=3).tokens == 3
    serving.close()


def test_all_see_what_is_allowed_and_platform_administrators_all(tiny, ada, alice):
    LanguageModel.objects.create(name="old", location="/nowhere", is_allowed=False)
    address = reverse("ragapp-api:model-list")

    seen = {
        person: [row["name"] for row in person.client.get(address).json()["results"]]
        for person in (ada, alice)
    }

    assert seen[alice] == ["tiny"]
    assert seen[ada] == ["old", "tiny"]
    assert "location" not in json.dumps(alice.client.get(address).json())


def test_platform_administrators_write_and_it_is_on_record(ada, alice, tmp_path: Path):
    address = reverse("ragapp-api:model-detail", args=["org/new"])
    body = {"location": str(tmp_path), "dtype": "float32"}

    refused = alice.client.put(address, body, content_type="application/json")
    made = ada.client.put(address, body, content_type="application/json")
    wrong = ada.client.put(address, {**body, "kind": "server"}, content_type="application/json")

    assert (refused.status_code, made.status_code, wrong.status_code) == (403, 200, 400)
    assert LanguageModel.objects.get(name="org/new").kind == "local"
    with platform_scope("test"):
        events = list(AuditEntry.objects.filter(object_name="org/new").values_list("event"))
    assert events == [("languagemodel.created",)]
