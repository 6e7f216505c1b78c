"""Pages of feedback: a thumb on an answer, and the queue in which MLOps review them."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from ragapp.domain.reader import reader_of
from ragapp.models import Feedback, Review, Thumb
from ragapp.services import feedback, runs
from ragapp.services.feedback import Opinion
from ragapp.ui.answer import answer_view
from ragapp.ui.feedback_forms import FeedbackFilter, OpinionForm, ReviewForm
from ragapp.ui.question_forms import as_typed
from ragapp.ui.question_views import waiting_count
from tenants.access import TenantRequest, tenant_page
from tenants.domain.roles import Action
from tenants.errors import SluiceError
from tenants.ui.forms import refuse, status_of
from tenants.ui.paging import newest_of


@require_POST
@tenant_page(Action.ASK)
def feedback_give(request: TenantRequest, trace_id: str) -> HttpResponse:
    """A thumb, and maybe why; the partial alone where htmx asks."""
    run = runs.visible_run(trace_id, reader=reader_of(request.actor))
    form = OpinionForm(request.POST)
    given: Feedback | None = feedback.own(run, request.user.pk)
    if form.is_valid():
        values = form.cleaned_data
        opinion = Opinion(Thumb(values["thumb"]), values["reason"], values["comment"])
        try:
            given = feedback.give(run, opinion, actor=request.actor)
        except SluiceError as error:
            messages.error(request, error.message)
    if request.htmx:
        return render(request, "ragapp/_feedback.html", {"run": run, "feedback": given})
    return redirect("ragapp:ask-run", request.tenant.slug, trace_id)


@tenant_page(Action.TRAIN)
def feedback_list(request: TenantRequest) -> HttpResponse:
    """What people thought of answers; by default what nobody has reviewed."""
    form = FeedbackFilter({"review": Review.WAITING, **request.GET.dict()})
    rows = feedback.shown_feedback().filter(form.condition())
    context = {"page": newest_of(request, rows), "form": form, "waiting": waiting_count()}
    return render(request, "ragapp/feedback_list.html", context)


@tenant_page(Action.TRAIN)
def feedback_review(request: TenantRequest, pk: int) -> HttpResponse:
    """One opinion with its answer and sources, and the question that it may become."""
    given = feedback.visible_feedback(pk)
    initial = as_typed(feedback.proposal(given))
    form = ReviewForm(request.POST or None, initial=initial, corpus=given.run.corpus)
    if request.method == "POST" and request.POST.get("then") == "dismiss":
        return _dismiss(request, given)
    if request.method == "POST" and form.is_valid():
        try:
            feedback.accept(
                given, form.cleaned_data["question_set"], form.judged, actor=request.actor
            )
        except SluiceError as error:
            refuse(form, error)
        else:
            messages.success(request, gettext("The question is in the set."))
            return redirect("ragapp:feedback-list", request.tenant.slug)
    context = {
        "feedback": given,
        "run": given.run,
        "answer": answer_view(given.run, reader_of(request.actor)),
        "form": form,
        "has_set": form.has_set,
    }
    return render(request, "ragapp/feedback_review.html", context, status=status_of(form))


def _dismiss(request: TenantRequest, given: Feedback) -> HttpResponse:
    try:
        feedback.dismiss(given, actor=request.actor)
    except SluiceError as error:
        messages.error(request, error.message)
    return redirect("ragapp:feedback-list", request.tenant.slug)
