"""Pages of questions and runs: ask, follow, and the trace."""

from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from proxyconfig import facade
from ragapp.domain import trace as entries
from ragapp.domain.reader import reader_of
from ragapp.models import Channel, Corpus, Run
from ragapp.models.rights import visible_runs
from ragapp.services import conversations, feedback, runs, stream
from ragapp.services.steps import describe
from ragapp.ui.answer import answer_view
from ragapp.ui.forms import AskForm, RunFilter
from ragapp.ui.trace import Trace, phases
from ragapp.ui.traffic import Traffic
from tenants.access import TenantRequest, tenant_page
from tenants.domain.roles import Action
from tenants.errors import SluiceError
from tenants.ui.forms import refuse, status_of
from tenants.ui.live import renew_page
from tenants.ui.paging import newest_of

RECENT = 8
# Questions that the demo's own documents answer; people of other corpora write their own.
SAMPLES = (
    "What is a SNAT pool for?",
    "What does default deny mean?",
    "What happens when somebody changes the proxy by hand?",
)
# What a list needs of a run; the trace itself can be large.
_LONG = ("entries", "citations", "sentences", "usage", "answer")


@tenant_page(Action.ASK)
def ask(request: TenantRequest) -> HttpResponse:
    """The form; a question leads to the page that shows its answer as it comes."""
    initial = {"corpus": request.GET.get("corpus", "")}
    form = AskForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            run = _asked(request, form)
        except SluiceError as error:
            refuse(form, error)
        else:
            return redirect("ragapp:ask-run", request.tenant.slug, run.trace_id)
    context = {**_ask_context(request), "form": form}
    return render(request, "ragapp/ask.html", context, status=status_of(form))


@tenant_page(Action.ASK)
def ask_run(request: TenantRequest, trace_id: str) -> HttpResponse:
    """One question with its answer, live or finished; the answer alone where htmx asks."""
    run = runs.visible_run(trace_id, reader=reader_of(request.actor))
    context = {"run": run, **_answer_context(request, run)}
    if request.htmx:
        partial = "ragapp/_answer.html" if run.has_ended else "ragapp/_live_run.html"
        return render(request, partial, {**context, "link_trace": True})
    follows = run.conversation is not None and run.conversation.owner == request.actor.name
    form = AskForm(
        initial={"corpus": run.corpus, "conversation": run.conversation_id if follows else None}
    )
    earlier = conversations.turns(run, reader_of(request.actor)) if follows else []
    shown = {"form": form, "follows": follows, "earlier": earlier}
    return render(request, "ragapp/ask.html", {**context, **_ask_context(request), **shown})


@tenant_page(Action.VIEW)
def run_list(request: TenantRequest) -> HttpResponse:
    """Every question that was asked."""
    form = RunFilter(request.GET)
    rows = Run.objects.filter(form.condition(), visible_runs(reader_of(request.actor))).defer(
        *_LONG
    )
    context = {
        "page": newest_of(request, rows),
        "form": form,
        "can_ask": request.actor.may(Action.ASK),
    }
    return render(request, "ragapp/run_list.html", context)


@tenant_page(Action.VIEW)
def run_detail(request: TenantRequest, trace_id: str) -> HttpResponse:
    """The trace of one run."""
    run = runs.visible_run(trace_id, reader=reader_of(request.actor))
    if request.htmx:
        # The live part has ended: every part of the page has news.
        return renew_page(request)
    ledger = reverse("proxyconfig:connection-list", args=[request.tenant.slug])
    context = {
        "trace": Trace(run.entries),
        "connections": None if run.has_ended else Traffic(facade.connections(run.trace_id)),
        **_answer_context(request, run),
        "run": run,
        "ledger_url": f"{ledger}?trace={run.trace_id}",
        "result_url": request.path,
    }
    return render(request, "ragapp/run_detail.html", context)


@require_POST
@tenant_page(Action.ASK)
def run_cancel(request: TenantRequest, trace_id: str) -> HttpResponse:
    """Stop a run; what was written is kept."""
    try:
        runs.request_stop(
            runs.visible_run(trace_id, reader=reader_of(request.actor)), actor=request.actor
        )
    except SluiceError as error:
        messages.info(request, error.message)
    return redirect("ragapp:ask-run", request.tenant.slug, trace_id)


@tenant_page(Action.VIEW)
def run_events(request: TenantRequest, trace_id: str) -> StreamingHttpResponse:
    """The run as server-sent events, from where the browser left off."""
    run = runs.visible_run(trace_id, reader=reader_of(request.actor))
    last_id = request.headers.get("Last-Event-ID", "")
    if last_id:
        stream.Place.parse(last_id)
    frames = stream.frames(request.tenant.pk, run.trace_id, last_id)
    response = StreamingHttpResponse(frames, content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


def _asked(request: TenantRequest, form: AskForm) -> Run:
    """The run that the form's question began, in its conversation if it names one."""
    values = form.cleaned_data
    thread = values["conversation"]
    return runs.ask(
        request.tenant,
        values["question"],
        actor=request.actor,
        channel=Channel.PORTAL,
        corpus=values["corpus"],
        conversation=(
            conversations.visible_conversation(thread, actor=request.actor) if thread else None
        ),
    )


def _ask_context(request: TenantRequest) -> dict[str, object]:
    """What stands around a question."""
    return {
        "samples": SAMPLES,
        "threads": conversations.recent(request.actor, RECENT),
        "has_corpus": Corpus.objects.filter(chunk_count__gt=0).exists(),
    }


def _answer_context(request: TenantRequest, run: Run) -> dict[str, object]:
    if run.has_ended:
        return {
            "is_live": False,
            "can_ask": request.actor.may(Action.ASK),
            "answer": answer_view(run, reader_of(request.actor)),
            "trace": Trace(run.entries),
            "connections": Traffic(facade.connections(run.trace_id)),
            "feedback": feedback.own(run, request.user.pk),
        }
    address = [run.tenant.slug, run.trace_id]
    return {
        "is_live": True,
        "can_ask": request.actor.may(Action.ASK),
        "steps": [describe(entries.from_json(entry)) for entry in run.entries],
        "phases": phases(run.entries),
        "stream_url": reverse("ragapp:run-events", args=address),
        "result_url": reverse("ragapp:ask-run", args=address),
    }
