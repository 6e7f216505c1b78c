"""The commands ``ask`` and ``train``, against a worker in a thread."""

import threading
import time

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from ragapp.models import Corpus, Run
from ragapp.services.answer import answer
from ragapp.services.training import train
from ragapp.tests.factories import CorpusFactory, SourceFactory
from ragapp.tests.outside import html, site
from tenants.models import Operation, platform_scope


@pytest.mark.django_db
@pytest.mark.parametrize(
    "words", [["ask", "nobody", "What?"], ["train", "nobody", "docs"], ["train", "acme", "none"]]
)
def test_unknown_name_is_an_error_in_words(acme, words):
    with pytest.raises(CommandError, match="named"):
        call_command(*words)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services", "generator")
def test_ask_shows_steps_and_answer(acme, egress, capsys):
    egress.deny(acme)
    worker = _as_worker(lambda: Run.objects.values_list("pk", flat=True).first(), answer)

    call_command("ask", "acme", "What is a SNAT pool for?")
    worker.join()

    said = capsys.readouterr().out
    assert "Goes to the web" in said
    assert "No egress policy of the tenant acme allows" in said
    assert "Succeeded Blocked" in said


@pytest.mark.model
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services", "embedder")
def test_train_follows_the_training(acme, egress, capsys):
    egress.allow(acme)
    worker = _as_worker(lambda: Operation.objects.values_list("pk", flat=True).first(), train)

    with site(lambda request: html("Pools", "A SNAT pool holds addresses.")) as far:
        call_command("train", "acme", "docs", f"{far.url}/pools")
    worker.join()

    assert "chunks 1, documents 1" in capsys.readouterr().out
    with platform_scope("test"):
        assert Corpus.objects.get().chunk_count == 1


@pytest.mark.model
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("services", "embedder")
def test_training_that_fails_says_why(acme, egress):
    egress.deny(acme)
    SourceFactory(corpus=CorpusFactory(tenant=acme, name="docs"), url="http://127.30.9.9/")
    worker = _as_worker(lambda: Operation.objects.values_list("pk", flat=True).first(), train)

    with pytest.raises(CommandError, match="acme/default-deny"):
        call_command("train", "acme", "docs")
    worker.join()


def _as_worker(find, work) -> threading.Thread:
    """Do what a worker does with the first row that ``find`` finds."""

    def working() -> None:
        try:
            for _ in range(600):
                with platform_scope("test"):
                    row_id = find()
                if row_id is not None:
                    work(row_id)
                    return
                time.sleep(0.1)
        finally:
            connection.close()

    thread = threading.Thread(target=working)
    thread.start()
    return thread
