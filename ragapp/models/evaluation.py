"""Judged questions, evaluations over them, and what people thought of answers.

A question set belongs to a corpus. An evaluation copies the questions that it asks, so that what
it measured stays readable when the set is edited afterwards.
"""

from django.conf import settings
from django.db import models
from django.urls import reverse

from ragapp.domain.answering import Answering, stored
from ragapp.domain.judged import MOST_CHARACTERS, Judged, Relevant
from ragapp.domain.scores import METRICS, Metric
from tenants.models.scoped import TenantScoped
from tenants.models.tenant import DNS_LABEL


class QuestionSet(TenantScoped):
    """Questions on one corpus whose right answers are known."""

    corpus = models.ForeignKey(
        "ragapp.Corpus", on_delete=models.CASCADE, related_name="question_sets"
    )
    name = models.CharField(max_length=63, validators=[DNS_LABEL])
    description = models.CharField(max_length=300, blank=True)
    version = models.PositiveIntegerField(
        default=1, help_text="Raised by each change of its questions."
    )
    frozen_at = models.DateTimeField(null=True, help_text="From then on no question changes.")
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Named once in each tenant."""

        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="questionset_name"),
            models.UniqueConstraint(fields=["tenant", "id"], name="questionset_tenant_id"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The set's page."""
        return reverse("ragapp:question-set-detail", args=[self.tenant.slug, self.name])

    @property
    def is_frozen(self) -> bool:
        """True once its questions cannot change."""
        return self.frozen_at is not None


class Origin(models.TextChoices):
    """Where a judged question came from."""

    UPLOAD = "upload", "Upload"
    WRITTEN = "written", "Written by hand"
    FEEDBACK = "feedback", "Feedback"


class JudgedQuestion(TenantScoped):
    """A question with its reference answers and the passages that answer it."""

    question_set = models.ForeignKey(
        QuestionSet, on_delete=models.CASCADE, related_name="questions"
    )
    text = models.TextField(max_length=MOST_CHARACTERS)
    text_hash = models.CharField(max_length=64, help_text="SHA-256: pairs it across versions.")
    answers = models.JSONField(default=list, help_text="Accepted answers, short.")
    is_answerable = models.BooleanField(default=True)
    relevant = models.JSONField(
        default=list,
        help_text="[{url, passage, grade}]: a whole document, or a chunk by its content hash.",
    )
    origin = models.CharField(max_length=8, choices=Origin.choices)
    added_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Each text once in a set, in the order in which they came."""

        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["question_set", "text_hash"], name="judgedquestion_once"
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="judgedquestion_tenant_id"),
        ]

    def __str__(self) -> str:
        return self.text[:80]

    @property
    def audit_name(self) -> str:
        """Not its text: question sets are for those who may train, the log is everybody's."""
        return f"question {self.text_hash[:12]}"

    @property
    def judged(self) -> Judged:
        """The question as the pure layer knows it."""
        return Judged(
            text=self.text,
            answers=tuple(self.answers),
            is_answerable=self.is_answerable,
            relevant=tuple(Relevant(**entry) for entry in self.relevant),
        )


class Purpose(models.TextChoices):
    """What an evaluation measures."""

    ANSWERS = "answers", "Retrieval and answers"
    RETRIEVAL = "retrieval", "Retrieval only"
    WEIGHT = "weight", "Best dense weight"
    CALIBRATION = "calibration", "Calibration of grades"


class Evaluation(TenantScoped):
    """One way to answer, measured on one question set; an Operation of kind Evaluate runs it."""

    corpus = models.ForeignKey("ragapp.Corpus", on_delete=models.CASCADE, related_name="+")
    question_set = models.ForeignKey(
        QuestionSet, on_delete=models.CASCADE, related_name="evaluations"
    )
    set_version = models.PositiveIntegerField()
    purpose = models.CharField(max_length=12, choices=Purpose.choices)
    note = models.CharField(max_length=200, blank=True, help_text="What it shall find out.")
    answering = models.JSONField(help_text="Answering: the settings that were measured.")
    base = models.JSONField(help_text="The corpus's own Answering when it began.")
    model = models.CharField(max_length=200, blank=True, help_text="The model that answered.")
    embedder = models.CharField(max_length=200, blank=True)
    chunk_count = models.PositiveIntegerField(default=0, help_text="Of the corpus, at its start.")
    trained_at = models.DateTimeField(null=True, help_text="The corpus's training, at its start.")
    question_count = models.PositiveIntegerField()
    metrics = models.JSONField(
        default=dict, help_text="By name: {mean, low, high, n}; see ragapp/domain/scores.py."
    )
    cost = models.JSONField(default=dict, help_text="Tokens by purpose, seconds, outgoing calls.")
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, help_text="When all questions were measured.")
    sweep = models.JSONField(
        default=dict, help_text="Of a sweep of weights: Tuned; see ragapp/domain/tuning.py."
    )
    replaced = models.JSONField(
        default=dict, help_text="The corpus's Answering that its promotion replaced."
    )
    promoted_at = models.DateTimeField(null=True)
    promoted_by = models.CharField(max_length=150, blank=True)

    class Meta:
        """Newest first."""

        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="evaluation_tenant_id"),
        ]
        indexes = [models.Index(fields=["tenant", "-id"], name="evaluation_newest")]

    def __str__(self) -> str:
        return f"Evaluation {self.pk}"

    def get_absolute_url(self) -> str:
        """The evaluation's page."""
        return reverse("ragapp:evaluation-detail", args=[self.tenant.slug, self.pk])

    @property
    def settings(self) -> Answering:
        """The settings that were measured."""
        return stored(self.answering)

    @property
    def asks_model(self) -> bool:
        """Whether its questions are answered, not only searched."""
        return self.purpose in {Purpose.ANSWERS, Purpose.CALIBRATION}

    @property
    def calibration_source(self) -> str:
        """How the calibration that it stores names where it came from."""
        return f"{self.question_set.name} version {self.set_version}, evaluation {self.pk}"

    @property
    def headline(self) -> list[tuple[Metric, dict[str, float]]]:
        """The figures that a list shows, each with its metric."""
        return [
            (metric, self.metrics[metric.name])
            for metric in METRICS
            if metric.is_headline and metric.name in self.metrics
        ]


class EvaluationAnswer(TenantScoped):
    """One question of an evaluation: as it was judged, what was found, and what was answered."""

    evaluation = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="answers")
    position = models.PositiveIntegerField(help_text="From 1.")
    text_hash = models.CharField(max_length=64)
    question = models.TextField()
    expected = models.JSONField(help_text="{answers, is_answerable, relevant} as judged then.")
    hits = models.JSONField(default=list, help_text="Ranked passages with ranks and scores.")
    end = models.CharField(max_length=16, blank=True)
    answer = models.TextField(blank=True)
    sentences = models.JSONField(default=list)
    citations = models.JSONField(default=list)
    entries = models.JSONField(default=list, help_text="The trace of this question's run.")
    metrics = models.JSONField(default=dict, help_text="Value by name; absent where undefined.")
    usage = models.JSONField(default=dict)
    error = models.TextField(blank=True, help_text="Why it could not be measured.")
    trace_id = models.CharField(max_length=32, blank=True)
    answered_at = models.DateTimeField(null=True)

    class Meta:
        """In the order of the set."""

        ordering = ["evaluation_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["evaluation", "position"], name="evaluationanswer_once")
        ]

    def __str__(self) -> str:
        return self.question[:80]

    @property
    def judged(self) -> Judged:
        """The question as it was judged when the evaluation began."""
        return Judged(
            text=self.question,
            answers=tuple(self.expected["answers"]),
            is_answerable=self.expected["is_answerable"],
            relevant=tuple(Relevant(**entry) for entry in self.expected["relevant"]),
        )


class Thumb(models.TextChoices):
    """What somebody thought of an answer."""

    UP = "up", "Good answer"
    DOWN = "down", "Bad answer"


class Reason(models.TextChoices):
    """What was wrong, or right, with it."""

    WRONG = "wrong", "It is wrong"
    INCOMPLETE = "incomplete", "Something is missing"
    UNSUPPORTED = "unsupported", "The sources do not say that"
    NOT_FOUND = "not-found", "The documents do hold the answer"
    UNANSWERABLE = "unanswerable", "It should have said that it does not know"
    OTHER = "other", "Something else"


class Review(models.TextChoices):
    """What MLOps made of it."""

    WAITING = "waiting", "Waiting"
    ACCEPTED = "accepted", "Accepted"
    DISMISSED = "dismissed", "Dismissed"


class Feedback(TenantScoped):
    """One person's thumb on one run's answer; it joins a question set once somebody reviewed it."""

    run = models.ForeignKey("ragapp.Run", on_delete=models.CASCADE, related_name="feedback")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    thumb = models.CharField(max_length=4, choices=Thumb.choices)
    reason = models.CharField(max_length=16, choices=Reason.choices, blank=True)
    comment = models.CharField(max_length=1000, blank=True)
    review = models.CharField(max_length=10, choices=Review.choices, default=Review.WAITING)
    reviewed_by = models.CharField(max_length=150, blank=True)
    reviewed_at = models.DateTimeField(null=True)
    question = models.ForeignKey(
        JudgedQuestion,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        help_text="What it became in a question set.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Newest first; one a person and run."""

        ordering = ["-id"]
        verbose_name_plural = "feedback"
        constraints = [
            models.UniqueConstraint(fields=["run", "user"], name="feedback_once"),
        ]
        indexes = [models.Index(fields=["tenant", "review", "-id"], name="feedback_queue")]

    def __str__(self) -> str:
        return f"{self.get_thumb_display()}: {self.run_id}"

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """What may be said of it, for a form."""
        return list(Reason.choices)
