"""The agent's pages in Django's admin."""

import pytest
from django.contrib import admin
from django.urls import reverse

from ragapp.models import Corpus, Document, Evaluation, Feedback, QuestionSet, Run, Source, Upload
from ragapp.tests.factories import (
    DocumentFactory,
    EvaluationFactory,
    FeedbackFactory,
    RunFactory,
    SourceFactory,
    UploadFactory,
)

MODELS = [Corpus, Document, Evaluation, Feedback, QuestionSet, Run, Source, Upload]


@pytest.mark.django_db
@pytest.mark.parametrize("model", MODELS)
def test_platform_admin_reads_every_row(ada, acme, model):
    document = DocumentFactory(corpus__tenant=acme)
    SourceFactory(corpus=document.corpus)
    UploadFactory(corpus=document.corpus)
    EvaluationFactory(question_set__corpus=document.corpus)
    FeedbackFactory(run=RunFactory(tenant=acme))
    name = model._meta.model_name

    listed = ada.client.get(reverse(f"admin:ragapp_{name}_changelist"))

    assert listed.status_code == 200
    row = listed.context["cl"].result_list[0]
    assert ada.client.get(reverse(f"admin:ragapp_{name}_change", args=[row.pk])).status_code == 200


@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_written_in_the_admin(rf, model):
    request = rf.get("/")

    assert not admin.site.get_model_admin(model).has_add_permission(request)
