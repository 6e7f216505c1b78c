"""Question sets, evaluations and feedback; row-level security on all of them, forced."""

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from tenants.models.rls import protect, same_tenant


class Migration(migrations.Migration):
    """Tables, then who may see their rows."""

    dependencies = [
        ("ragapp", "0004_answering"),
        ("tenants", "0002_row_level_security"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Evaluation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("set_version", models.PositiveIntegerField()),
                (
                    "purpose",
                    models.CharField(
                        choices=[
                            ("answers", "Retrieval and answers"),
                            ("retrieval", "Retrieval only"),
                            ("weight", "Best dense weight"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "note",
                    models.CharField(
                        blank=True, help_text="What it shall find out.", max_length=200
                    ),
                ),
                (
                    "answering",
                    models.JSONField(help_text="Answering: the settings that were measured."),
                ),
                ("base", models.JSONField(help_text="The corpus's own Answering when it began.")),
                (
                    "model",
                    models.CharField(
                        blank=True, help_text="The model that answered.", max_length=200
                    ),
                ),
                ("embedder", models.CharField(blank=True, max_length=200)),
                (
                    "chunk_count",
                    models.PositiveIntegerField(
                        default=0, help_text="Of the corpus, at its start."
                    ),
                ),
                (
                    "trained_at",
                    models.DateTimeField(
                        help_text="The corpus's training, at its start.", null=True
                    ),
                ),
                ("question_count", models.PositiveIntegerField()),
                (
                    "metrics",
                    models.JSONField(
                        default=dict,
                        help_text="By name: {mean, low, high, n}; see ragapp/domain/scores.py.",
                    ),
                ),
                (
                    "cost",
                    models.JSONField(
                        default=dict, help_text="Tokens by purpose, seconds, outgoing calls."
                    ),
                ),
                ("created_by", models.CharField(max_length=150)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "ended_at",
                    models.DateTimeField(help_text="When all questions were measured.", null=True),
                ),
                ("promoted_at", models.DateTimeField(null=True)),
                ("promoted_by", models.CharField(blank=True, max_length=150)),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="EvaluationAnswer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("position", models.PositiveIntegerField(help_text="From 1.")),
                ("text_hash", models.CharField(max_length=64)),
                ("question", models.TextField()),
                (
                    "expected",
                    models.JSONField(
                        help_text="{answers, is_answerable, relevant} as judged then."
                    ),
                ),
                (
                    "hits",
                    models.JSONField(
                        default=list, help_text="Ranked passages with ranks and scores."
                    ),
                ),
                ("end", models.CharField(blank=True, max_length=16)),
                ("answer", models.TextField(blank=True)),
                ("sentences", models.JSONField(default=list)),
                ("citations", models.JSONField(default=list)),
                (
                    "entries",
                    models.JSONField(default=list, help_text="The trace of this question's run."),
                ),
                (
                    "metrics",
                    models.JSONField(
                        default=dict, help_text="Value by name; absent where undefined."
                    ),
                ),
                ("usage", models.JSONField(default=dict)),
                ("error", models.TextField(blank=True, help_text="Why it could not be measured.")),
                ("trace_id", models.CharField(blank=True, max_length=32)),
                ("answered_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["evaluation_id", "position"],
            },
        ),
        migrations.CreateModel(
            name="Feedback",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "thumb",
                    models.CharField(
                        choices=[("up", "Good answer"), ("down", "Bad answer")], max_length=4
                    ),
                ),
                (
                    "reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("wrong", "It is wrong"),
                            ("incomplete", "Something is missing"),
                            ("unsupported", "The sources do not say that"),
                            ("not-found", "The documents do hold the answer"),
                            ("unanswerable", "It should have said that it does not know"),
                            ("other", "Something else"),
                        ],
                        max_length=16,
                    ),
                ),
                ("comment", models.CharField(blank=True, max_length=1000)),
                (
                    "review",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("accepted", "Accepted"),
                            ("dismissed", "Dismissed"),
                        ],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("reviewed_by", models.CharField(blank=True, max_length=150)),
                ("reviewed_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name_plural": "feedback",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="JudgedQuestion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("text", models.TextField(max_length=4000)),
                (
                    "text_hash",
                    models.CharField(help_text="SHA-256: pairs it across versions.", max_length=64),
                ),
                ("answers", models.JSONField(default=list, help_text="Accepted answers, short.")),
                ("is_answerable", models.BooleanField(default=True)),
                (
                    "relevant",
                    models.JSONField(
                        default=list,
                        help_text="[{url, passage, grade}]: a whole document, or a chunk by its content hash.",
                    ),
                ),
                (
                    "origin",
                    models.CharField(
                        choices=[
                            ("upload", "Upload"),
                            ("written", "Written by hand"),
                            ("feedback", "Feedback"),
                        ],
                        max_length=8,
                    ),
                ),
                ("added_by", models.CharField(max_length=150)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="QuestionSet",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        max_length=63,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\\Z",
                                "Use lower-case letters, digits and hyphens, at most 63, as in a DNS label.",
                            )
                        ],
                    ),
                ),
                ("description", models.CharField(blank=True, max_length=300)),
                (
                    "version",
                    models.PositiveIntegerField(
                        default=1, help_text="Raised by each change of its questions."
                    ),
                ),
                (
                    "frozen_at",
                    models.DateTimeField(help_text="From then on no question changes.", null=True),
                ),
                ("created_by", models.CharField(max_length=150)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.UniqueConstraint(fields=("tenant", "id"), name="run_tenant_id"),
        ),
        migrations.AddField(
            model_name="evaluation",
            name="corpus",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="ragapp.corpus"
            ),
        ),
        migrations.AddField(
            model_name="evaluation",
            name="tenant",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="tenants.tenant"
            ),
        ),
        migrations.AddField(
            model_name="evaluationanswer",
            name="evaluation",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="answers",
                to="ragapp.evaluation",
            ),
        ),
        migrations.AddField(
            model_name="evaluationanswer",
            name="tenant",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="tenants.tenant"
            ),
        ),
        migrations.AddField(
            model_name="feedback",
            name="run",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="feedback",
                to="ragapp.run",
            ),
        ),
        migrations.AddField(
            model_name="feedback",
            name="tenant",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="tenants.tenant"
            ),
        ),
        migrations.AddField(
            model_name="feedback",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="judgedquestion",
            name="tenant",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="tenants.tenant"
            ),
        ),
        migrations.AddField(
            model_name="feedback",
            name="question",
            field=models.ForeignKey(
                help_text="What it became in a question set.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="ragapp.judgedquestion",
            ),
        ),
        migrations.AddField(
            model_name="questionset",
            name="corpus",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="question_sets",
                to="ragapp.corpus",
            ),
        ),
        migrations.AddField(
            model_name="questionset",
            name="tenant",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="tenants.tenant"
            ),
        ),
        migrations.AddField(
            model_name="judgedquestion",
            name="question_set",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="questions",
                to="ragapp.questionset",
            ),
        ),
        migrations.AddField(
            model_name="evaluation",
            name="question_set",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="evaluations",
                to="ragapp.questionset",
            ),
        ),
        migrations.AddConstraint(
            model_name="evaluationanswer",
            constraint=models.UniqueConstraint(
                fields=("evaluation", "position"), name="evaluationanswer_once"
            ),
        ),
        migrations.AddIndex(
            model_name="feedback",
            index=models.Index(fields=["tenant", "review", "-id"], name="feedback_queue"),
        ),
        migrations.AddConstraint(
            model_name="feedback",
            constraint=models.UniqueConstraint(fields=("run", "user"), name="feedback_once"),
        ),
        migrations.AddConstraint(
            model_name="questionset",
            constraint=models.UniqueConstraint(fields=("tenant", "name"), name="questionset_name"),
        ),
        migrations.AddConstraint(
            model_name="questionset",
            constraint=models.UniqueConstraint(
                fields=("tenant", "id"), name="questionset_tenant_id"
            ),
        ),
        migrations.AddConstraint(
            model_name="judgedquestion",
            constraint=models.UniqueConstraint(
                fields=("question_set", "text_hash"), name="judgedquestion_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="judgedquestion",
            constraint=models.UniqueConstraint(
                fields=("tenant", "id"), name="judgedquestion_tenant_id"
            ),
        ),
        migrations.AddIndex(
            model_name="evaluation",
            index=models.Index(fields=["tenant", "-id"], name="evaluation_newest"),
        ),
        migrations.AddConstraint(
            model_name="evaluation",
            constraint=models.UniqueConstraint(
                fields=("tenant", "id"), name="evaluation_tenant_id"
            ),
        ),
        protect("ragapp_questionset"),
        protect("ragapp_judgedquestion"),
        protect("ragapp_evaluation"),
        protect("ragapp_evaluationanswer"),
        protect("ragapp_feedback"),
        same_tenant("ragapp_questionset", "corpus_id", "ragapp_corpus"),
        same_tenant("ragapp_judgedquestion", "question_set_id", "ragapp_questionset"),
        same_tenant("ragapp_evaluation", "corpus_id", "ragapp_corpus"),
        same_tenant("ragapp_evaluation", "question_set_id", "ragapp_questionset"),
        same_tenant("ragapp_evaluationanswer", "evaluation_id", "ragapp_evaluation"),
        same_tenant("ragapp_feedback", "run_id", "ragapp_run"),
        same_tenant("ragapp_feedback", "question_id", "ragapp_judgedquestion"),
    ]
