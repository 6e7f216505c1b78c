"""Addresses of the agent's pages."""

from django.urls import path

from ragapp.ui import corpus_views, run_views

app_name = "ragapp"

_CORPORA = "t/<slug:tenant>/corpora/"
_RUNS = "t/<slug:tenant>/runs/"

urlpatterns = [
    path(_CORPORA, corpus_views.corpus_list, name="corpus-list"),
    path(f"{_CORPORA}new/", corpus_views.corpus_create, name="corpus-create"),
    path(f"{_CORPORA}<slug:name>/", corpus_views.corpus_detail, name="corpus-detail"),
    path(f"{_CORPORA}<slug:name>/edit/", corpus_views.corpus_edit, name="corpus-edit"),
    path(f"{_CORPORA}<slug:name>/train/", corpus_views.corpus_train, name="corpus-train"),
    path(
        "t/<slug:tenant>/documents/<int:pk>/",
        corpus_views.document_detail,
        name="document-detail",
    ),
    path(
        "t/<slug:tenant>/documents/<int:pk>/delete/",
        corpus_views.document_delete,
        name="document-delete",
    ),
    path("t/<slug:tenant>/ask/", run_views.ask, name="ask"),
    path("t/<slug:tenant>/ask/<slug:trace_id>/", run_views.ask_run, name="ask-run"),
    path(_RUNS, run_views.run_list, name="run-list"),
    path(f"{_RUNS}<slug:trace_id>/", run_views.run_detail, name="run-detail"),
    path(f"{_RUNS}<slug:trace_id>/events/", run_views.run_events, name="run-events"),
    path(f"{_RUNS}<slug:trace_id>/stop/", run_views.run_cancel, name="run-cancel"),
]
