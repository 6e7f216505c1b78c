"""Documents that are read ahead of the embedder, and the window that waits for it."""

import time

import numpy as np
import pytest

from proxyconfig.facade import egress_endpoint
from ragapp.domain.chunk import Chunk
from ragapp.domain.document import Document
from ragapp.services import serving
from ragapp.services.training.reading import READERS, Preparer, read_ahead
from ragapp.services.training.window import MOST_CHUNKS, STORED_CHUNKS, STORED_DOCUMENTS, Window
from ragapp.services.training.work import Read, Unreadable, Wanted
from ragapp.tests.outside import html, site


class Breaking:
    """The real embedder, but for one text that it cannot bear."""

    max_tokens = 256

    def offsets(self, text):
        if "poison" in text:
            raise ZeroDivisionError("poison")
        return serving.embedder().offsets(text)

    def count(self, text):
        return len(self.offsets(text))


def uploads(*texts) -> list[Wanted]:
    return [
        Wanted(number, f"upload:{number}.txt", content_type="text/plain", upload=text.encode())
        for number, text in enumerate(texts)
    ]


@pytest.mark.model
def test_a_document_that_breaks_what_reads_it_is_unreadable_and_stops_no_other(caplog):
    wanted = uploads("A pool.", "Some poison.", "A tag.")

    read = dict(
        found for found in read_ahead(Preparer(None, "acme", "", Breaking()), iter(wanted)) if found
    )

    assert [type(read[one]) for one in wanted] == [Read, Unreadable, Read]
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.model
@pytest.mark.django_db
def test_no_more_is_fetched_than_there_is_room_for(alice, egress):
    egress.allow(alice.tenant)
    with site(lambda request: html(request.path, "A pool of addresses. " * 20)) as far:
        with alice.acting():
            preparer = Preparer(egress_endpoint(alice.tenant), "acme", "", serving.embedder())
        wanted = [Wanted(number, f"{far.url}/{number}") for number in range(30)]
        news = read_ahead(preparer, iter(wanted), most_bytes=1000)

        first = next(one for one in news if one)
        time.sleep(1.5)
        asked = len(far.seen())
        rest = [one for one in news if one]

    assert asked <= 2 + READERS
    assert len([first, *rest]) == 30


def read(number, chunks) -> Read:
    parts = tuple(
        Chunk(
            text="x",
            start=n,
            end=n + 1,
            context="",
            section=(),
            page=None,
            tokens=1,
            content_hash=f"{number}/{n}",
        )
        for n in range(chunks)
    )
    return Read(Document("x" * chunks, ""), parts, "text/plain", f"{number}", f"{number}", chunks)


def test_window_of_documents_whose_vectors_are_known_gets_full_as_well():
    window, number = Window(), 0
    while not window.is_full:
        one = read(number, 3)
        known = {part.content_hash: np.zeros(2, np.float32) for part in one.chunks}
        window.add(Wanted(number, f"{number}"), one, known)
        number += 1

    assert number * 3 <= MOST_CHUNKS


def test_documents_are_stored_in_groups_of_a_few_and_none_is_lost():
    window = Window()
    sizes = [1] * 20 + [STORED_CHUNKS + 1] + [100] * 5 + [0]
    for number, size in enumerate(sizes):
        one = read(number, size)
        window.add(Wanted(number, f"{number}"), one, {})
        window.note(one.chunks, np.zeros((size, 2), np.float32))

    groups = list(window.groups(2))

    assert [wanted.pk for group in groups for wanted, _, _ in group] == list(range(len(sizes)))
    for group in groups:
        chunks = sum(len(vectors) for _, _, vectors in group)
        assert len(group) == 1 or (chunks <= STORED_CHUNKS and len(group) <= STORED_DOCUMENTS)
