"""Addresses of the agent's pages."""

from django.urls import path

from ragapp.ui import (
    corpus_views,
    evaluation_views,
    feedback_views,
    passage_views,
    question_views,
    run_views,
    search_views,
    usage_views,
)

app_name = "ragapp"

_CORPORA = "t/<slug:tenant>/corpora/"
_RUNS = "t/<slug:tenant>/runs/"
_EVALUATION = "t/<slug:tenant>/evaluation/"
_SETS = f"{_EVALUATION}sets/"

urlpatterns = [
    path(_CORPORA, corpus_views.corpus_list, name="corpus-list"),
    # A corpus may be called ``new``, and has no page called ``corpus``.
    path(f"{_CORPORA}new/corpus/", corpus_views.corpus_create, name="corpus-create"),
    path(f"{_CORPORA}<slug:name>/", corpus_views.corpus_detail, name="corpus-detail"),
    path(f"{_CORPORA}<slug:name>/edit/", corpus_views.corpus_edit, name="corpus-edit"),
    path(f"{_CORPORA}<slug:name>/train/", corpus_views.corpus_train, name="corpus-train"),
    path(f"{_CORPORA}<slug:name>/uploads/", corpus_views.corpus_upload, name="corpus-upload"),
    path(
        f"{_CORPORA}<slug:name>/documents/delete/",
        corpus_views.corpus_documents_delete,
        name="corpus-documents-delete",
    ),
    path(
        "t/<slug:tenant>/documents/<int:pk>/retry/",
        corpus_views.document_retry,
        name="document-retry",
    ),
    path(
        "t/<slug:tenant>/documents/<int:pk>/original/",
        corpus_views.document_original,
        name="document-original",
    ),
    path(
        "t/<slug:tenant>/documents/<int:pk>/",
        corpus_views.document_detail,
        name="document-detail",
    ),
    path(
        "t/<slug:tenant>/documents/<int:pk>/edit/",
        corpus_views.document_edit,
        name="document-edit",
    ),
    path(
        "t/<slug:tenant>/documents/<int:pk>/delete/",
        corpus_views.document_delete,
        name="document-delete",
    ),
    path("t/<slug:tenant>/web-search/", search_views.web_search_edit, name="web-search-edit"),
    path("t/<slug:tenant>/search/", passage_views.search, name="search"),
    path("t/<slug:tenant>/ask/", run_views.ask, name="ask"),
    path("t/<slug:tenant>/ask/<slug:trace_id>/", run_views.ask_run, name="ask-run"),
    path(_RUNS, run_views.run_list, name="run-list"),
    path(f"{_RUNS}<slug:trace_id>/", run_views.run_detail, name="run-detail"),
    path(f"{_RUNS}<slug:trace_id>/events/", run_views.run_events, name="run-events"),
    path(f"{_RUNS}<slug:trace_id>/stop/", run_views.run_cancel, name="run-cancel"),
    path(f"{_RUNS}<slug:trace_id>/feedback/", feedback_views.feedback_give, name="feedback-give"),
    path(_EVALUATION, evaluation_views.evaluation_list, name="evaluation-list"),
    path(f"{_EVALUATION}new/", evaluation_views.evaluation_create, name="evaluation-create"),
    path(
        f"{_EVALUATION}compare/",
        evaluation_views.evaluation_compare,
        name="evaluation-compare",
    ),
    path(f"{_EVALUATION}review/", feedback_views.feedback_list, name="feedback-list"),
    path(f"{_EVALUATION}review/<int:pk>/", feedback_views.feedback_review, name="feedback-review"),
    path(f"{_EVALUATION}<int:pk>/", evaluation_views.evaluation_detail, name="evaluation-detail"),
    path(
        f"{_EVALUATION}<int:pk>/questions/<int:position>/",
        evaluation_views.evaluation_answer,
        name="evaluation-answer",
    ),
    path(
        f"{_EVALUATION}<int:pk>/promote/",
        evaluation_views.evaluation_promote,
        name="evaluation-promote",
    ),
    path(
        f"{_EVALUATION}<int:pk>/restore/",
        evaluation_views.evaluation_restore,
        name="evaluation-restore",
    ),
    path(
        f"{_EVALUATION}<int:pk>/continue/",
        evaluation_views.evaluation_continue,
        name="evaluation-continue",
    ),
    path(
        f"{_EVALUATION}<int:pk>/delete/",
        evaluation_views.evaluation_delete,
        name="evaluation-delete",
    ),
    path(_SETS, question_views.set_list, name="question-set-list"),
    path(f"{_EVALUATION}new/set/", question_views.set_create, name="question-set-create"),
    path(f"{_SETS}<slug:name>/", question_views.set_detail, name="question-set-detail"),
    path(f"{_SETS}<slug:name>/edit/", question_views.set_edit, name="question-set-edit"),
    path(f"{_SETS}<slug:name>/freeze/", question_views.set_freeze, name="question-set-freeze"),
    path(f"{_SETS}<slug:name>/delete/", question_views.set_delete, name="question-set-delete"),
    path(
        f"{_SETS}<slug:name>/questions/new/",
        question_views.question_create,
        name="question-create",
    ),
    path(
        f"{_SETS}<slug:name>/questions/<int:pk>/",
        question_views.question_edit,
        name="question-edit",
    ),
    path(
        f"{_SETS}<slug:name>/questions/<int:pk>/delete/",
        question_views.question_delete,
        name="question-delete",
    ),
    path("usage/", usage_views.usage_overview, name="usage-overview"),
    path("t/<slug:tenant>/usage/", usage_views.usage_detail, name="usage-detail"),
    path("t/<slug:tenant>/usage/limit/", usage_views.usage_limit, name="usage-limit"),
    path("t/<slug:tenant>/usage/export/", usage_views.usage_export, name="usage-export"),
]
