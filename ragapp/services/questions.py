"""Question sets: what is asked of a corpus to see how good its answers are.

Each change raises the set's version; a frozen set takes none, so that figures of a year apart are
about the same questions. A file is taken whole or not at all.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import PurePosixPath

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Count, QuerySet
from django.utils import timezone

from ragapp.domain.judged import Judged, Relevant
from ragapp.domain.question_file import (
    MOST_QUESTIONS,
    Complaint,
    Resolve,
    check,
    read,
    resolved,
)
from ragapp.models import Chunk, Corpus, Document, JudgedQuestion, Origin, QuestionSet
from tenants import audit
from tenants.domain.actor import Actor
from tenants.errors import ConflictError, InvalidError, NotVisibleError
from tenants.models.tenant import Tenant

_GIVEN = {"name", "description"}


def visible_set(name: str) -> QuestionSet:
    """The scope's question set of this name.

    Raises:
        NotVisibleError: there is none.
    """
    found = QuestionSet.objects.select_related("tenant", "corpus").filter(name=name).first()
    if found is None:
        raise NotVisibleError(
            f"No question set named {name} is here. See the tenant's list of question sets."
        )
    return found


def counted_sets() -> QuerySet[QuestionSet]:
    """The scope's sets with ``question_count`` and their corpus."""
    counted = QuestionSet.objects.annotate(question_count=Count("questions"))
    # A grouped query forgets the model's own order.
    return counted.select_related("tenant", "corpus").order_by("name")


def visible_question(question_set: QuestionSet, pk: int) -> JudgedQuestion:
    """The set's question with this id.

    Raises:
        NotVisibleError: there is none.
    """
    found = question_set.questions.filter(pk=pk).first()
    if found is None:
        raise NotVisibleError(f"The question set {question_set.name} has no question {pk}.")
    return found


def create_set(
    tenant: Tenant, corpus: Corpus, *, name: str, actor: Actor, description: str = ""
) -> QuestionSet:
    """Make an empty set of questions on ``corpus``.

    Raises:
        InvalidError: a field cannot be taken; ``fields`` says which.
        ConflictError: the tenant has another set of this name.
    """
    row = QuestionSet(
        tenant=tenant, corpus=corpus, name=name, description=description, created_by=actor.name
    )
    _save(row, actor, "question-set.created")
    return row


def change_set(
    question_set: QuestionSet, *, name: str, description: str, is_frozen: bool, actor: Actor
) -> QuestionSet:
    """Rename the set, describe it, freeze or thaw it.

    Raises:
        InvalidError: a field cannot be taken; ``fields`` says which.
        ConflictError: the tenant has another set of this name.
    """
    question_set.name, question_set.description = name, description
    if is_frozen != question_set.is_frozen:
        question_set.frozen_at = timezone.now() if is_frozen else None
    _save(question_set, actor, "question-set.changed")
    return question_set


def delete_set(question_set: QuestionSet, *, actor: Actor) -> None:
    """Delete the set with its questions and its evaluations."""
    with transaction.atomic():
        audit.record(actor, "question-set.deleted", question_set)
        question_set.delete()


def add_questions(
    question_set: QuestionSet, questions: Sequence[Judged], *, origin: Origin, actor: Actor
) -> int:
    """Put questions into the set; one whose text is there already takes its place.

    Returns:
        How many there are now.

    Raises:
        InvalidError: a question cannot be taken, or there are too many.
        ConflictError: the set is frozen.
    """
    _refuse([Complaint(n, fault) for n, each in enumerate(questions, 1) if (fault := check(each))])
    rows = [_row(question_set, each, origin, actor) for each in questions]
    with transaction.atomic():
        _begin_change(question_set)
        JudgedQuestion.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["question_set", "text_hash"],
            update_fields=["answers", "is_answerable", "relevant", "origin", "added_by"],
        )
        count = question_set.questions.count()
        if count > MOST_QUESTIONS:
            _refuse([Complaint(0, f"A set has at most {MOST_QUESTIONS} questions, not {count}.")])
        detail = {"questions": len(rows), "version": question_set.version, "origin": origin.value}
        audit.record(actor, "question-set.extended", question_set, detail=detail)
    return count


def upload(
    question_set: QuestionSet, content: bytes, *, name: str, actor: Actor, judgements: bytes = b""
) -> int:
    """Put the questions of a file into the set: all, or none with what is wrong in which line.

    Args:
        name: The file's; ``.csv`` is CSV, anything else JSON lines.
        judgements: BEIR's qrels for the file; may be empty.

    Returns:
        How many were read.

    Raises:
        InvalidError: a line cannot be taken; ``fields["file"]`` has a complaint for each.
        ConflictError: the set is frozen.
    """
    file = read(content, name=name, judgements=judgements)
    _refuse(file.complaints)
    wanted = [entry for line in file.lines for entry in line.judged.relevant]
    file = resolved(file, resolver(question_set.corpus, wanted))
    _refuse(file.complaints)
    questions = [line.judged for line in file.lines]
    add_questions(question_set, questions, origin=Origin.UPLOAD, actor=actor)
    return len(questions)


def write_question(
    question_set: QuestionSet,
    judged: Judged,
    *,
    actor: Actor,
    question: JudgedQuestion | None = None,
    origin: Origin = Origin.WRITTEN,
) -> JudgedQuestion:
    """Add a question, or change ``question``; its documents are named as the corpus names them.

    Raises:
        InvalidError: it cannot be taken; ``fields`` says what is wrong.
        ConflictError: the set is frozen, or has this question already.
    """
    known = _resolved(question_set, judged)
    row = _row(question_set, known, origin, actor)
    if question is not None:
        row.pk, row.created_at = question.pk, question.created_at
        row.origin, row.added_by = question.origin, question.added_by
    try:
        with transaction.atomic():
            _begin_change(question_set)
            row.save()
            event = "question.written" if question is None else "question.changed"
            audit.record(actor, event, row, detail={"set": question_set.name})
    except IntegrityError as error:
        raise ConflictError(
            f"The set {question_set.name} has this question already. Change it there.",
            code="question-exists",
        ) from error
    return row


def delete_question(question: JudgedQuestion, *, actor: Actor) -> None:
    """Take a question out of its set.

    Raises:
        ConflictError: the set is frozen.
    """
    with transaction.atomic():
        _begin_change(question.question_set)
        audit.record(actor, "question.deleted", question)
        question.delete()


def resolver(corpus: Corpus, wanted: Sequence[Relevant]) -> Resolve:
    """Finds the documents that judgements name: by URL, by the last part of it, or by passage."""
    urls = set(Document.objects.filter(corpus=corpus).values_list("url", flat=True))
    urls_by_tail: dict[str, set[str]] = defaultdict(set)
    for url in urls:
        tail = PurePosixPath(url.rstrip("/"))
        urls_by_tail[tail.name].add(url)
        urls_by_tail[tail.stem].add(url)
    url_by_passage = _url_by_passage(corpus, {entry.passage for entry in wanted if entry.passage})

    def resolve(entry: Relevant) -> Relevant | None:
        if entry.passage:
            url = url_by_passage.get(entry.passage)
            return Relevant(url, entry.passage, entry.grade) if url else None
        if entry.url in urls:
            return entry
        named = urls_by_tail.get(entry.url, set())
        # Two documents of one name: which of them is meant, only its whole URL can say.
        return Relevant(next(iter(named)), grade=entry.grade) if len(named) == 1 else None

    return resolve


def _url_by_passage(corpus: Corpus, hashes: set[str]) -> dict[str, str]:
    if not hashes:
        return {}
    chunks = Chunk.objects.filter(corpus_id=corpus.pk, content_hash__in=hashes)
    document_by_hash = dict(chunks.values_list("content_hash", "document_id"))
    url_by_document = dict(
        Document.objects.filter(pk__in=document_by_hash.values()).values_list("pk", "url")
    )
    return {
        content_hash: url_by_document[document]
        for content_hash, document in document_by_hash.items()
        if document in url_by_document
    }


def _resolved(question_set: QuestionSet, judged: Judged) -> Judged:
    if fault := check(judged):
        raise InvalidError(f"The question cannot be taken: {fault}.", fields={"text": [fault]})
    if judged.is_answerable and not (judged.answers or judged.relevant):
        complaint = "Give a reference answer or a relevant document, or say that there is none."
        raise InvalidError(complaint, fields={"answers": [complaint]})
    resolve = resolver(question_set.corpus, judged.relevant)
    found = {entry: resolve(entry) for entry in judged.relevant}
    lost = [entry.url or entry.passage for entry, known in found.items() if known is None]
    if lost:
        complaint = f"The corpus {question_set.corpus.name} has no document {lost[0][:200]}."
        raise InvalidError(complaint, fields={"relevant": [complaint]})
    kept = tuple(entry for entry in found.values() if entry is not None)
    return Judged(judged.text, judged.answers, judged.is_answerable, kept)


def _row(question_set: QuestionSet, judged: Judged, origin: Origin, actor: Actor) -> JudgedQuestion:
    return JudgedQuestion(
        tenant_id=question_set.tenant_id,
        question_set=question_set,
        text=judged.text,
        text_hash=hashlib.sha256(judged.text.encode()).hexdigest(),
        answers=list(judged.answers),
        is_answerable=judged.is_answerable,
        relevant=[asdict(entry) for entry in judged.relevant],
        origin=origin.value,
        added_by=actor.name[:150],
    )


def _begin_change(question_set: QuestionSet) -> None:
    """Lock the set, refuse if it is frozen, and raise its version."""
    locked = QuestionSet.objects.select_for_update(of=["self"]).get(pk=question_set.pk)
    if locked.is_frozen:
        raise ConflictError(
            f"The question set {locked.name} is frozen, so that its figures stay comparable."
            " Thaw it, or make another set.",
            code="question-set-frozen",
        )
    question_set.version = locked.version = locked.version + 1
    locked.save(update_fields=["version"])


def _refuse(complaints: Sequence[Complaint]) -> None:
    if complaints:
        raise InvalidError(
            "Nothing was taken: some lines have to be mended first.",
            fields={"file": [str(complaint) for complaint in complaints]},
        )


def _save(row: QuestionSet, actor: Actor, event: str) -> None:
    try:
        row.clean_fields(exclude={f.name for f in QuestionSet._meta.fields} - _GIVEN)
    except ValidationError as error:
        raise InvalidError(
            "The question set has fields that cannot be taken.", fields=error.message_dict
        ) from error
    try:
        with transaction.atomic():
            row.save()
            audit.record(actor, event, row)
    except IntegrityError as error:
        raise ConflictError(
            f"The tenant has a question set named {row.name} already. Choose another name.",
            code="question-set-exists",
        ) from error
