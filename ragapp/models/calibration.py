"""Calibrations: what a model's grades on a corpus have been found to be worth."""

from django.db import models

from ragapp.domain.grade import Calibration as Fit
from ragapp.domain.grade import Question
from ragapp.models.corpus import Corpus
from tenants.models.scoped import TenantScoped


class Calibration(TenantScoped):
    """One question's calibration for one corpus and model; a version holds one of each question."""

    corpus = models.ForeignKey(Corpus, on_delete=models.CASCADE, related_name="calibrations")
    model = models.CharField(max_length=200, help_text="The generator's name, as traces show it.")
    question = models.CharField(
        max_length=16, choices=[(question.value, question.value) for question in Question]
    )
    version = models.PositiveIntegerField(help_text="The highest one of a model is used.")
    weights = models.JSONField(help_text="By feature; ragapp/domain/features.py.")
    intercept = models.FloatField()
    low = models.FloatField(help_text="Below it the grade refuses.")
    high = models.FloatField(help_text="From it on the grade accepts.")
    samples = models.PositiveIntegerField(help_text="Judged grades that it was fitted on.")
    positives = models.PositiveIntegerField(help_text="How many of them were so.")
    brier = models.FloatField(help_text="Mean squared error, cross-validated.")
    ece = models.FloatField(help_text="Expected calibration error, cross-validated.")
    auc = models.FloatField(help_text="Area under the ROC curve, cross-validated.")
    bins = models.JSONField(help_text="Reliability: [{count, probability, share}], lowest first.")
    source = models.CharField(max_length=300, help_text="Where the judged questions came from.")
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Each question once in a version; newest first."""

        ordering = ["-version", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "corpus", "model", "question", "version"], name="calibration_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.question} of {self.model}, version {self.version}"

    @property
    def fit(self) -> Fit:
        """As the agent evaluates it."""
        return Fit(self.weights, self.intercept, low=self.low, high=self.high)
