"""Evaluations: one way to answer, measured on a question set, compared, and promoted.

``start`` copies the questions and queues an operation; ``ragapp/services/evaluate.py`` runs it.
A promotion writes the measured setting to the corpus, if that is still the corpus that was
measured; whether the web may be tried stays the corpus's own choice, since an evaluation usually
leaves it out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from ragapp.domain import scores
from ragapp.domain.answering import Answering, stored
from ragapp.domain.significance import Difference
from ragapp.models import Corpus, Evaluation, EvaluationAnswer, JudgedQuestion, Purpose, QuestionSet
from ragapp.models.corpus import MOST_PASSAGES
from ragapp.services import fit, language_models
from ragapp.services.corpora import MOST_INSTRUCTIONS
from tenants import audit
from tenants.domain.actor import Actor
from tenants.errors import ConflictError, InvalidError, NotVisibleError, SluiceError
from tenants.models.operation import Operation, OperationKind
from tenants.services import operations


def visible_evaluation(pk: int) -> Evaluation:
    """The scope's evaluation with this id.

    Raises:
        NotVisibleError: there is none.
    """
    found = shown_evaluations().filter(pk=pk).first()
    if found is None:
        raise NotVisibleError(f"There is no evaluation {pk} here. See the list of evaluations.")
    return found


def shown_evaluations() -> QuerySet[Evaluation]:
    """The scope's evaluations with what their lines show."""
    return Evaluation.objects.select_related("tenant", "corpus", "question_set")


def start(
    question_set: QuestionSet,
    answering: Answering,
    *,
    purpose: Purpose,
    actor: Actor,
    note: str = "",
) -> Evaluation:
    """Queue an evaluation of ``answering`` on the set's corpus.

    Raises:
        InvalidError: nothing can be measured, or a setting is out of its bounds.
    """
    corpus = question_set.corpus
    asked = _questions(question_set, purpose)
    _check(corpus, answering, asked, purpose)
    with transaction.atomic():
        evaluation = Evaluation.objects.create(
            tenant_id=question_set.tenant_id,
            corpus=corpus,
            question_set=question_set,
            set_version=question_set.version,
            purpose=purpose,
            note=note[:200],
            answering=asdict(answering),
            base=asdict(corpus.answering),
            embedder=corpus.embedder,
            chunk_count=corpus.chunk_count,
            trained_at=corpus.trained_at,
            question_count=len(asked),
            created_by=actor.name[:150],
        )
        EvaluationAnswer.objects.bulk_create(
            [_copy(evaluation, at, question) for at, question in enumerate(asked, start=1)],
            batch_size=500,
        )
        _queue(evaluation, actor)
    return evaluation


def resume(evaluation: Evaluation, *, actor: Actor) -> Operation:
    """Go on with an evaluation that was cancelled or failed; what is measured stays.

    Raises:
        ConflictError: it is complete, or it is queued or running already.
    """
    if evaluation.ended_at is not None:
        raise ConflictError(
            f"{evaluation} is complete; there is nothing left to measure. Start a new one.",
            code="evaluation-ended",
        )
    return _queue(evaluation, actor)


def delete(evaluation: Evaluation, *, actor: Actor) -> None:
    """Delete the evaluation with its answers.

    Raises:
        ConflictError: it is queued or running.
    """
    operation = operation_of(evaluation)
    if operation is not None and not operation.has_ended:
        raise ConflictError(
            f"{evaluation} is not done yet. Cancel its operation first.", code="evaluation-open"
        )
    with transaction.atomic():
        audit.record(actor, "evaluation.deleted", evaluation)
        evaluation.delete()


def operation_of(evaluation: Evaluation) -> Operation | None:
    """The operation that runs it, or ran it last."""
    return _operations([evaluation.pk]).first()


def operation_by_evaluation(evaluations: Iterable[Evaluation]) -> dict[int, Operation]:
    """The latest operation of each, by the evaluation's id; one query."""
    oldest_first = _operations([evaluation.pk for evaluation in evaluations]).reverse()
    return {operation.target_id or 0: operation for operation in oldest_first}


def proposed(evaluation: Evaluation) -> Answering:
    """What a promotion would write to the corpus."""
    return replace(evaluation.settings, web=evaluation.corpus.web)


def obstacle(evaluation: Evaluation) -> str:
    """Why it cannot be promoted now; empty if it can."""
    corpus = evaluation.corpus
    if evaluation.ended_at is None:
        return "It is not complete yet."
    if evaluation.purpose == Purpose.CALIBRATION:
        return "A calibration is in use as soon as it is made; there is nothing to promote."
    if corpus.trained_at != evaluation.trained_at or corpus.chunk_count != evaluation.chunk_count:
        return (
            f"The corpus {corpus.name} was changed since: its documents are no longer those that"
            " were measured. Evaluate again."
        )
    if complaint := _model_complaint(proposed(evaluation)):
        return complaint
    if proposed(evaluation) == corpus.answering:
        return f"The corpus {corpus.name} is answered so already."
    return ""


def promote(
    evaluation: Evaluation, *, replaces: Answering, actor: Actor, reason: str = ""
) -> Corpus:
    """Let the corpus be answered as was measured.

    Args:
        replaces: The corpus's setting that the person saw when they decided.

    Raises:
        ConflictError: the corpus, or its setting, is no longer what was measured or seen.
    """
    with transaction.atomic():
        corpus = _locked(evaluation)
        if corpus.answering != replaces:
            raise ConflictError(
                f"The setting of {corpus.name} was changed by somebody else meanwhile. Look at"
                " what changes now, and decide again.",
                code="corpus-changed",
            )
        if hindrance := obstacle(evaluation):
            raise ConflictError(hindrance, code="promotion-refused")
        wanted = proposed(evaluation)
        evaluation.replaced = asdict(corpus.answering)
        evaluation.promoted_at, evaluation.promoted_by = timezone.now(), actor.name[:150]
        evaluation.save(update_fields=["replaced", "promoted_at", "promoted_by"])
        _write(corpus, wanted)
        detail = {
            "evaluation": evaluation.pk,
            "before": evaluation.replaced,
            "after": asdict(wanted),
        }
        audit.record(actor, "corpus.setting-promoted", corpus, reason=reason, detail=detail)
    return corpus


def restore(evaluation: Evaluation, *, actor: Actor, reason: str = "") -> Corpus:
    """Take a promotion back: the corpus is answered as it was before.

    Raises:
        ConflictError: it was not promoted, or the setting was changed again since.
    """
    with transaction.atomic():
        corpus = _locked(evaluation)
        if not evaluation.replaced or corpus.answering != proposed(evaluation):
            raise ConflictError(
                f"{corpus.name} is not answered as {evaluation} measured, so there is nothing to"
                " take back. Promote the evaluation whose setting you want.",
                code="promotion-refused",
            )
        before = replace(stored(evaluation.replaced), web=corpus.web)
        detail = {
            "evaluation": evaluation.pk,
            "before": asdict(corpus.answering),
            "after": asdict(before),
        }
        _write(corpus, before)
        evaluation.replaced, evaluation.promoted_at, evaluation.promoted_by = {}, None, ""
        evaluation.save(update_fields=["replaced", "promoted_at", "promoted_by"])
        audit.record(actor, "corpus.setting-restored", corpus, reason=reason, detail=detail)
    return corpus


def differences(before: Evaluation, after: Evaluation) -> dict[str, Difference]:
    """Each metric that both have, over the questions that both measured."""
    return scores.differences(_values(before), _values(after))


def changes(before: Answering, after: Answering) -> list[Mapping[str, object]]:
    """The settings that differ, as pages and the API show them."""
    old, new = asdict(before), asdict(after)
    return [
        {"path": name, "before": old[name], "after": new[name]}
        for name in old
        if old[name] != new[name]
    ]


def _values(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """The metrics of each measured question, by its text's hash."""
    rows = EvaluationAnswer.objects.filter(evaluation=evaluation, answered_at__isnull=False)
    return dict(rows.values_list("text_hash", "metrics"))


def _questions(question_set: QuestionSet, purpose: Purpose) -> list[JudgedQuestion]:
    """Those that the purpose can measure: a ranking needs something judged relevant."""
    rows = question_set.questions.all()
    is_ranking = purpose in {Purpose.RETRIEVAL, Purpose.WEIGHT}
    return list(rows.exclude(relevant=[]) if is_ranking else rows)


def _check(
    corpus: Corpus, answering: Answering, asked: list[JudgedQuestion], purpose: Purpose
) -> None:
    fields: dict[str, list[str]] = {}
    if not corpus.chunk_count:
        fields["question_set"] = [f"The corpus {corpus.name} has no chunk yet. Train it first."]
    elif purpose == Purpose.CALIBRATION and len(asked) < fit.FEWEST:
        fields["question_set"] = [
            f"A calibration needs at least {fit.FEWEST} questions; the set has {len(asked)}."
        ]
    elif not asked and purpose == Purpose.ANSWERS:
        fields["question_set"] = ["The set has no question yet. Add some first."]
    elif not asked:
        fields["question_set"] = [
            "No question of the set says what is relevant, so no ranking can be measured."
        ]
    if complaint := _model_complaint(answering):
        fields["model"] = [complaint]
    if not 0 <= answering.dense_weight <= 1:
        fields["dense_weight"] = ["A number from 0 to 1."]
    if not 1 <= answering.passages <= MOST_PASSAGES:
        fields["passages"] = [f"A number from 1 to {MOST_PASSAGES}."]
    if len(answering.instructions) > MOST_INSTRUCTIONS:
        fields["instructions"] = [f"At most {MOST_INSTRUCTIONS} characters."]
    if fields:
        said = " ".join(complaint for complaints in fields.values() for complaint in complaints)
        raise InvalidError(f"The evaluation cannot begin. {said}", fields=fields)


def _model_complaint(answering: Answering) -> str:
    """Why its model cannot be used; empty if it can, or is the platform's default."""
    if not answering.model:
        return ""
    try:
        language_models.allowed(answering.model)
    except SluiceError as error:
        return error.message
    return ""


def _copy(evaluation: Evaluation, position: int, question: JudgedQuestion) -> EvaluationAnswer:
    return EvaluationAnswer(
        tenant_id=evaluation.tenant_id,
        evaluation=evaluation,
        position=position,
        text_hash=question.text_hash,
        question=question.text,
        expected={
            "answers": question.answers,
            "is_answerable": question.is_answerable,
            "relevant": question.relevant,
        },
    )


def _queue(evaluation: Evaluation, actor: Actor) -> Operation:
    return operations.start_operation(
        evaluation.tenant,
        OperationKind.EVALUATE,
        f"Evaluate {evaluation.corpus.name} on {evaluation.question_set.name}",
        actor=actor,
        target_id=evaluation.pk,
        total=evaluation.question_count,
        unit="questions",
    )


def _operations(pks: list[int]) -> QuerySet[Operation]:
    return Operation.objects.filter(kind=OperationKind.EVALUATE, target_id__in=pks)


def _locked(evaluation: Evaluation) -> Corpus:
    """The corpus, locked, and the evaluation looking at the same row."""
    corpus = Corpus.objects.select_for_update(of=["self"]).get(pk=evaluation.corpus_id)
    corpus.tenant = evaluation.tenant
    evaluation.corpus = corpus
    return corpus


def _write(corpus: Corpus, answering: Answering) -> None:
    for name, value in asdict(answering).items():
        setattr(corpus, name, value)
    corpus.save(update_fields=list(asdict(answering)))
