"""``manage.py calibrate``: find out what a model's grades on a corpus are worth."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ragapp.domain import question_file
from ragapp.domain.judged import Judged
from ragapp.models import Corpus, JudgedQuestion
from ragapp.services import calibration, questions, serving
from ragapp.services.answer import settings_for
from ragapp.services.corpora import visible_corpus
from tenants.domain.actor import system
from tenants.errors import SluiceError
from tenants.models.scoped import platform_scope, tenant_scope
from tenants.models.tenant import Tenant

SAY_EVERY = 25


class Command(BaseCommand):
    """Asks each judged question of the model, fits the calibration and stores it."""

    help = "Calibrate a model's grades on a corpus from judged questions."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which corpus and model, and where the questions are."""
        parser.add_argument("--tenant", required=True, help="slug of the tenant")
        parser.add_argument("--corpus", required=True, help="name of the corpus")
        parser.add_argument(
            "--model", default="", help="name of the model; the corpus's by default"
        )
        parser.add_argument("--questions", type=Path, help="a file; the corpus's sets without it")
        parser.add_argument(
            "--precision",
            type=float,
            help="share of the answers given that shall be right; without it, wrong refusals are"
            " weighed against wrong answers",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's own signature.
        """Calibrate and say what it is worth."""
        try:
            corpus, judged, source = _questions(options)
            engine = serving.engine(options["model"] or corpus.model)
            rows = calibration.calibrate(
                corpus,
                judged,
                asking=calibration.Asking(
                    engine, settings_for(corpus.tenant.slug, corpus.answering)
                ),
                actor=system("manage.py calibrate"),
                source=source,
                precision=options["precision"],
                progress=self._say,
            )
        except SluiceError as error:
            raise CommandError(error.message) from error
        for row in rows:
            self.stdout.write(
                f"{row.question:<10} AUC {row.auc:.3f}, Brier {row.brier:.3f}, ECE {row.ece:.3f},"
                f" refuses below {row.low:.2f}, {row.samples} judged"
            )
        self.stdout.write(f"Version {rows[0].version} of {rows[0].model} is in use from now on.")

    def _say(self, done: int, total: int) -> None:
        if done % SAY_EVERY == 0 or done == total:
            self.stdout.write(f"{done} of {total} questions asked")


def _questions(options: dict[str, Any]) -> tuple[Corpus, list[Judged], str]:
    """The corpus, its judged questions, and where they came from."""
    with platform_scope("manage.py calibrate"):
        tenant = Tenant.objects.filter(slug=options["tenant"]).first()
    if tenant is None:
        raise CommandError(f"There is no tenant named {options['tenant']}.")
    file: Path | None = options["questions"]
    with tenant_scope(tenant.pk):
        corpus = visible_corpus(options["corpus"])
        if file is None:
            rows = JudgedQuestion.objects.filter(question_set__corpus=corpus)
            return corpus, [row.judged for row in rows], "the corpus's question sets"
        return corpus, _read(corpus, file), file.name


def _read(corpus: Corpus, file: Path) -> list[Judged]:
    """The file's questions, their judgements resolved to the corpus's documents."""
    if not file.is_file():
        raise CommandError(f"There is no file {file}.")
    read = question_file.read(file.read_bytes(), name=file.name)
    wanted = [entry for line in read.lines for entry in line.judged.relevant]
    if not read.complaints:
        read = question_file.resolved(read, questions.resolver(corpus, wanted))
    if read.complaints:
        raise CommandError("\n".join(str(complaint) for complaint in read.complaints))
    return [line.judged for line in read.lines]
