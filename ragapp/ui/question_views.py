"""Pages of question sets: make, upload, write by hand, freeze; writes go through the services."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_POST

from ragapp.models import Corpus, Feedback, JudgedQuestion, QuestionSet, Review
from ragapp.services import questions
from ragapp.ui.question_forms import (
    NewSetForm,
    QuestionForm,
    QuestionSetForm,
    UploadForm,
    as_typed,
)
from tenants.access import TenantRequest, tenant_page
from tenants.domain.roles import Action
from tenants.errors import SluiceError
from tenants.ui.forms import refuse, status_of
from tenants.ui.paging import page_of

# A set of this many tells a good change from chance, if the change is large.
ENOUGH = 20


@tenant_page(Action.TRAIN)
def set_list(request: TenantRequest) -> HttpResponse:
    """The tenant's question sets."""
    context = {
        "page": page_of(request, questions.counted_sets()),
        "has_corpus": Corpus.objects.exists(),
        "waiting": waiting_count(),
    }
    return render(request, "ragapp/question_set_list.html", context)


@tenant_page(Action.TRAIN)
def set_create(request: TenantRequest) -> HttpResponse:
    """A new set, with the questions of a file where one is given."""
    form = NewSetForm(
        request.POST or None,
        request.FILES or None,
        initial={"corpus": request.GET.get("corpus", "")},
    )
    if request.method == "POST" and form.is_valid():
        try:
            made = _create(request, form)
        except SluiceError as error:
            refuse(form, error)
        else:
            return redirect(made)
    return render(request, "ragapp/question_set_form.html", {"form": form}, status=status_of(form))


@tenant_page(Action.TRAIN)
def set_edit(request: TenantRequest, name: str) -> HttpResponse:
    """A set's name and what it is for."""
    question_set = questions.visible_set(name)
    initial = {"name": question_set.name, "description": question_set.description}
    form = QuestionSetForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            questions.change_set(
                question_set,
                **form.cleaned_data,
                is_frozen=question_set.is_frozen,
                actor=request.actor,
            )
        except SluiceError as error:
            refuse(form, error)
        else:
            return redirect(question_set)
    context = {"form": form, "question_set": question_set}
    return render(request, "ragapp/question_set_form.html", context, status=status_of(form))


@tenant_page(Action.TRAIN)
def set_detail(request: TenantRequest, name: str) -> HttpResponse:
    """One set: its questions, and the form to upload more."""
    question_set = questions.visible_set(name)
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            count = _upload(request, question_set, form)
        except SluiceError as error:
            refuse(form, error)
        else:
            said = ngettext("%(n)d question is taken.", "%(n)d questions are taken.", count)
            messages.success(request, said % {"n": count})
            return redirect(question_set)
    rows = question_set.questions.all()
    context = {
        "question_set": question_set,
        "page": page_of(request, rows),
        "unanswerable": rows.filter(is_answerable=False).count(),
        "judged": rows.exclude(relevant=[]).count(),
        "evaluations": question_set.evaluations.select_related("tenant")[:5],
        "form": form,
        "enough": ENOUGH,
    }
    return render(request, "ragapp/question_set_detail.html", context, status=status_of(form))


@require_POST
@tenant_page(Action.TRAIN)
def set_freeze(request: TenantRequest, name: str) -> HttpResponse:
    """Freeze the set, or thaw it."""
    question_set = questions.visible_set(name)
    questions.change_set(
        question_set,
        name=question_set.name,
        description=question_set.description,
        is_frozen=request.POST.get("freeze") == "yes",
        actor=request.actor,
    )
    return redirect(question_set)


@require_POST
@tenant_page(Action.TRAIN)
def set_delete(request: TenantRequest, name: str) -> HttpResponse:
    """Delete the set with its evaluations, once its name was typed."""
    question_set = questions.visible_set(name)
    if request.POST.get("name", "").strip() != name:
        messages.error(request, gettext("Nothing was deleted: type the name of the set to do so."))
        return redirect(question_set)
    questions.delete_set(question_set, actor=request.actor)
    messages.success(request, gettext("The question set %(name)s is deleted.") % {"name": name})
    return redirect("ragapp:question-set-list", request.tenant.slug)


@tenant_page(Action.TRAIN)
def question_create(request: TenantRequest, name: str) -> HttpResponse:
    """A question written by hand; the form comes back empty for the next one."""
    return _question_page(request, questions.visible_set(name), None)


@tenant_page(Action.TRAIN)
def question_edit(request: TenantRequest, name: str, pk: int) -> HttpResponse:
    """One judged question."""
    question_set = questions.visible_set(name)
    return _question_page(request, question_set, questions.visible_question(question_set, pk))


@require_POST
@tenant_page(Action.TRAIN)
def question_delete(request: TenantRequest, name: str, pk: int) -> HttpResponse:
    """Take a question out of its set."""
    question_set = questions.visible_set(name)
    try:
        questions.delete_question(questions.visible_question(question_set, pk), actor=request.actor)
    except SluiceError as error:
        messages.error(request, error.message)
    return redirect(question_set)


def waiting_count() -> int:
    """Feedback that nobody has reviewed yet, for the tab."""
    return Feedback.objects.filter(review=Review.WAITING).count()


def _create(request: TenantRequest, form: NewSetForm) -> QuestionSet:
    """The set with its questions: both or neither."""
    values = form.cleaned_data
    with transaction.atomic():
        made = questions.create_set(
            request.tenant,
            values["corpus"],
            name=values["name"],
            description=values["description"],
            actor=request.actor,
        )
        if values["file"]:
            _upload(request, made, form)
    return made


def _upload(request: TenantRequest, question_set: QuestionSet, form: UploadForm) -> int:
    return questions.upload(
        question_set,
        form.content("file"),
        name=form.cleaned_data["file"].name,
        judgements=form.content("judgements"),
        actor=request.actor,
    )


def _question_page(
    request: TenantRequest, question_set: QuestionSet, question: JudgedQuestion | None
) -> HttpResponse:
    form = QuestionForm(
        request.POST or None, initial=as_typed(question.judged) if question else None
    )
    if request.method == "POST" and form.is_valid():
        try:
            questions.write_question(
                question_set, form.judged, actor=request.actor, question=question
            )
        except SluiceError as error:
            refuse(form, error)
        else:
            if question is None and request.POST.get("then") == "another":
                return redirect(request.path)
            return redirect(question_set)
    context = {
        "form": form,
        "question_set": question_set,
        "question": question,
        "count": question_set.questions.count(),
        "enough": ENOUGH,
    }
    return render(request, "ragapp/question_form.html", context, status=status_of(form))
