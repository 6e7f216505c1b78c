"""Pages of evaluations: start, follow, compare down to the passage, and promote."""

from dataclasses import asdict

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from ragapp.domain.answering import Answering, stored
from ragapp.domain.tuning import WEIGHTS
from ragapp.models import Calibration, Evaluation, EvaluationAnswer, Purpose
from ragapp.services import evaluations, questions
from ragapp.ui.comparison import Comparison
from ragapp.ui.evaluation_forms import AnswerFilter, EvaluationFilter, EvaluationForm
from ragapp.ui.figures import figures, reliability_chart, sweep_chart
from ragapp.ui.judged_answer import JudgedAnswer, passages_of
from ragapp.ui.question_views import waiting_count
from tenants.access import TenantRequest, tenant_page
from tenants.domain.numbers import whole_number
from tenants.domain.roles import Action
from tenants.errors import InvalidError, NotVisibleError, SluiceError
from tenants.ui.forms import refuse, status_of
from tenants.ui.live import renew_page
from tenants.ui.paging import PAGE_SIZE, newest_of, page_of

# What the table of an evaluation's questions needs of each; trace and hits can be large.
_LONG = ("hits", "entries", "citations", "sentences", "answer")


@tenant_page(Action.TRAIN)
def evaluation_list(request: TenantRequest) -> HttpResponse:
    """The tenant's evaluations with their headline figures."""
    form = EvaluationFilter(request.GET)
    rows = evaluations.shown_evaluations().filter(form.condition())
    page = newest_of(request, rows)
    operations = evaluations.operation_by_evaluation(page)
    context = {
        "page": page,
        "lines": [(row, operations.get(row.pk), figures(row.metrics)) for row in page],
        "form": form,
        "has_set": questions.counted_sets().exists(),
        "waiting": waiting_count(),
    }
    return render(request, "ragapp/evaluation_list.html", context)


@tenant_page(Action.TRAIN)
def evaluation_create(request: TenantRequest) -> HttpResponse:
    """Choose a set, then what shall be measured on its corpus."""
    name = request.GET.get("set", "")
    if not name:
        sets = questions.counted_sets()[:PAGE_SIZE]
        return render(request, "ragapp/evaluation_set.html", {"sets": sets})
    question_set = questions.visible_set(name)
    answering = question_set.corpus.answering
    # An evaluation leaves the web out unless that is what it measures.
    purpose = request.GET.get("purpose", Purpose.ANSWERS)
    initial = {**asdict(answering), "web": False, "purpose": purpose}
    form = EvaluationForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            started = evaluations.start(
                question_set,
                form.answering,
                purpose=Purpose(form.cleaned_data["purpose"]),
                note=form.cleaned_data["note"],
                actor=request.actor,
            )
        except SluiceError as error:
            refuse(form, error)
        else:
            return redirect(started)
    context = {
        "form": form,
        "question_set": question_set,
        "count": question_set.questions.count(),
    }
    return render(request, "ragapp/evaluation_form.html", context, status=status_of(form))


@tenant_page(Action.TRAIN)
def evaluation_detail(request: TenantRequest, pk: int) -> HttpResponse:
    """One evaluation: its progress, its figures, its questions; the progress alone for htmx."""
    evaluation = evaluations.visible_evaluation(pk)
    operation = evaluations.operation_of(evaluation)
    if operation is not None:
        operation.tenant = request.tenant
    if request.htmx:
        return _progress(request, evaluation, operation)
    form = AnswerFilter(request.GET)
    rows = EvaluationAnswer.objects.filter(form.condition(), evaluation=evaluation).defer(*_LONG)
    context = {
        "evaluation": evaluation,
        "operation": operation,
        "live_url": request.path,
        "figures": figures(evaluation.metrics),
        "chart": _sweep(evaluation),
        "calibrations": _calibrations(evaluation),
        "page": page_of(request, rows),
        "form": form,
        "current": evaluation.corpus.answering,
        "obstacle": evaluations.obstacle(evaluation),
        "changes": evaluations.changes(
            evaluation.corpus.answering, evaluations.proposed(evaluation)
        ),
        "measured": evaluations.changes(stored(evaluation.base), evaluation.settings),
        "others": _comparable(evaluation),
    }
    return render(request, "ragapp/evaluation_detail.html", context)


@tenant_page(Action.TRAIN)
def evaluation_answer(request: TenantRequest, pk: int, position: int) -> HttpResponse:
    """One question, down to its passages; beside another evaluation's where ``?with=`` names it."""
    evaluation = evaluations.visible_evaluation(pk)
    answer = _answer(evaluation, position=position)
    shown = [answer]
    if other := _named(request.GET.get("with", "")):
        shown.insert(0, _answer(other, text_hash=answer.text_hash))
    chunks = passages_of(shown)
    context = {
        "evaluation": evaluation,
        "answer": answer,
        "other": other,
        "sides": [JudgedAnswer(each, chunks) for each in shown],
        "expected": answer.judged,
        "count": evaluation.question_count,
    }
    return render(request, "ragapp/evaluation_answer.html", context)


@tenant_page(Action.TRAIN)
def evaluation_compare(request: TenantRequest) -> HttpResponse:
    """Two evaluations side by side; the older one is the one before."""
    chosen = [_named(pk) for pk in request.GET.getlist("run")]
    known = sorted((each for each in chosen if each), key=lambda each: each.pk)
    if len(known) != 2 or known[0].pk == known[1].pk:
        messages.info(request, gettext("Choose two evaluations to compare."))
        return redirect("ragapp:evaluation-list", request.tenant.slug)
    comparison = Comparison(*known)
    turn = request.GET.get("turn", "differs")
    pairs = comparison.turned(turn)
    context = {
        "comparison": comparison,
        "before": known[0],
        "after": known[1],
        "turn": turn,
        "turns": _turns(comparison),
        "changes": evaluations.changes(known[0].settings, known[1].settings),
        "page": Paginator(pairs, PAGE_SIZE).get_page(request.GET.get("page", 1)),
    }
    return render(request, "ragapp/evaluation_compare.html", context)


@require_POST
@tenant_page(Action.TRAIN)
def evaluation_promote(request: TenantRequest, pk: int) -> HttpResponse:
    """Let the corpus be answered as was measured, if it is as the person saw it."""
    evaluation = evaluations.visible_evaluation(pk)
    try:
        evaluations.promote(
            evaluation,
            replaces=_seen(request),
            actor=request.actor,
            reason=request.POST.get("reason", "")[:500],
        )
    except SluiceError as error:
        messages.error(request, error.message)
    else:
        said = gettext("%(corpus)s is answered so from now on.") % {"corpus": evaluation.corpus}
        messages.success(request, said)
    return redirect(evaluation)


@require_POST
@tenant_page(Action.TRAIN)
def evaluation_restore(request: TenantRequest, pk: int) -> HttpResponse:
    """Take a promotion back."""
    evaluation = evaluations.visible_evaluation(pk)
    try:
        evaluations.restore(evaluation, actor=request.actor)
    except SluiceError as error:
        messages.error(request, error.message)
    else:
        said = gettext("%(corpus)s is answered as before.") % {"corpus": evaluation.corpus}
        messages.success(request, said)
    return redirect(evaluation)


@require_POST
@tenant_page(Action.TRAIN)
def evaluation_continue(request: TenantRequest, pk: int) -> HttpResponse:
    """Measure what is left."""
    evaluation = evaluations.visible_evaluation(pk)
    try:
        evaluations.resume(evaluation, actor=request.actor)
    except SluiceError as error:
        messages.error(request, error.message)
    return redirect(evaluation)


@require_POST
@tenant_page(Action.TRAIN)
def evaluation_delete(request: TenantRequest, pk: int) -> HttpResponse:
    """Delete one evaluation, once confirmed: its answers cost time and tokens."""
    evaluation = evaluations.visible_evaluation(pk)
    if request.POST.get("confirmed") != "yes":
        return render(request, "ragapp/evaluation_delete.html", {"evaluation": evaluation})
    try:
        evaluations.delete(evaluation, actor=request.actor)
    except SluiceError as error:
        messages.error(request, error.message)
        return redirect(evaluation)
    messages.success(request, gettext("The evaluation is deleted."))
    return redirect("ragapp:evaluation-list", request.tenant.slug)


def _progress(request: TenantRequest, evaluation: Evaluation, operation: object) -> HttpResponse:
    if evaluation.ended_at is not None or getattr(operation, "has_ended", True):
        # The page around the progress has the figures now.
        return renew_page(request)
    context = {"operation": operation, "live_url": request.path}
    return render(request, "tenants/_operation.html", context)


def _sweep(evaluation: Evaluation) -> str:
    if not evaluation.sweep:
        return ""
    return sweep_chart(
        WEIGHTS,
        evaluation.sweep["mean_by_weight"],
        base=evaluation.sweep["base"],
        best=evaluation.sweep["best"],
    )


def _calibrations(evaluation: Evaluation) -> list[tuple[Calibration, str]]:
    """What a calibration stored, each with its reliability."""
    if evaluation.purpose != Purpose.CALIBRATION:
        return []
    rows = Calibration.objects.filter(
        corpus_id=evaluation.corpus_id, source=evaluation.calibration_source
    )
    return [(row, reliability_chart(row.bins)) for row in rows]


def _comparable(evaluation: Evaluation) -> list[Evaluation]:
    """The latest complete ones of the same corpus, to compare with."""
    rows = evaluations.shown_evaluations().filter(
        corpus_id=evaluation.corpus_id, ended_at__isnull=False
    )
    return list(rows.exclude(pk=evaluation.pk)[:10])


def _named(pk: str) -> Evaluation | None:
    """The evaluation that a query parameter names; None for what is no id."""
    number = whole_number(pk)
    return None if number is None else evaluations.visible_evaluation(number)


def _answer(evaluation: Evaluation, **which: object) -> EvaluationAnswer:
    found = EvaluationAnswer.objects.filter(evaluation=evaluation, **which).first()
    if found is None:
        raise NotVisibleError(f"{evaluation} has no such question. See its list of questions.")
    found.evaluation = evaluation
    return found


def _turns(comparison: Comparison) -> list[tuple[str, str, int]]:
    labels = {
        "": gettext("All"),
        "differs": gettext("Differs"),
        "Better": gettext("Got better"),
        "Worse": gettext("Got worse"),
        "Mixed": gettext("Both"),
    }
    counts = comparison.counts
    return [(turn, label, counts[turn]) for turn, label in labels.items()]


def _seen(request: TenantRequest) -> Answering:
    """The corpus's setting as the person's page showed it.

    Raises:
        InvalidError: the form did not come from that page.
    """
    try:
        return Answering(
            dense_weight=float(request.POST["dense_weight"]),
            passages=int(request.POST["passages"]),
            # A browser sends line ends as it likes.
            instructions=request.POST["instructions"].replace("\r\n", "\n"),
            model=request.POST["model"],
            rerank=request.POST["rerank"] == "True",
            web=request.POST["web"] == "True",
        )
    except (KeyError, ValueError) as error:
        raise InvalidError("Open the evaluation's page and promote it there.") from error
