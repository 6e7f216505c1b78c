"""The cross-encoder, of a few random weights, and what it does to a search."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from ragapp.engines.reranker import CrossEncoderReranker
from ragapp.services import search, serving
from ragapp.tests.factories import CorpusFactory, indexed
from tenants.errors import PermanentError

WORDS = ["snat", "pool", "default", "deny", "address", "tenant", "proxy", "a", "is"]


def saved(folder, *, labels=1):
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    BertTokenizerFast(vocab_file=str(vocabulary)).save_pretrained(folder)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(WORDS) + 5,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=labels,
        initializer_range=1.0,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("cross-encoder"))


def test_scores_are_one_a_text_within_bounds_and_the_same_in_any_company(folder):
    reranker = CrossEncoderReranker(folder)
    texts = ["snat pool", "default deny is a proxy", "address " * 600]

    scores = reranker.score("snat", texts)

    assert (scores.shape, scores.dtype) == ((3,), np.float32)
    assert np.all((scores >= 0) & (scores <= 1))
    assert len(set(scores.tolist())) == 3
    alone = [float(reranker.score("snat", [text])[0]) for text in texts]
    assert scores.tolist() == pytest.approx(alone, abs=1e-4)
    assert reranker.score("snat", []).shape == (0,)


@pytest.mark.parametrize("labels", [2, None])
def test_folder_without_a_ranking_model_is_an_error_in_words(tmp_path, labels):
    source = saved(tmp_path, labels=labels) if labels else str(tmp_path)

    with pytest.raises(PermanentError, match="reranker"):
        CrossEncoderReranker(source)


@pytest.mark.model
@pytest.mark.django_db
def test_search_is_ordered_by_the_cross_encoder_where_one_is_set_up(
    acme, embedder, folder, settings
):
    corpus = CorpusFactory(tenant=acme)
    texts = ["a snat pool", "default deny", "a proxy is a tenant", "address of a tenant"]
    indexed(corpus, texts, embedder.embed_documents(texts))

    def found(*, rerank, k=4):
        return search.search(acme.pk, [corpus.pk], "snat pool", k=k, rerank=rerank)

    fused = found(rerank=False)
    assert found(rerank=True) == fused

    settings.RERANKER = folder
    ordered = found(rerank=True)

    scores = serving.reranker().score("snat pool", [hit.text for hit in fused])
    wanted = [fused[at].text for at in np.argsort(-scores)]
    assert [hit.text for hit in ordered] == wanted
    assert [hit.text for hit in found(rerank=True, k=2)] == wanted[:2]
    assert found(rerank=False) == fused


@pytest.mark.model
@pytest.mark.django_db
def test_what_is_beyond_the_cross_encoders_reach_stays_behind_in_its_order(
    acme, embedder, folder, settings
):
    corpus = CorpusFactory(tenant=acme)
    texts = [f"snat pool number {number}" for number in range(search.RERANKED + 5)]
    indexed(corpus, texts, embedder.embed_documents(texts))
    fused = search.search(acme.pk, [corpus.pk], "snat pool", k=len(texts))
    settings.RERANKER = folder

    ordered = search.search(acme.pk, [corpus.pk], "snat pool", k=len(texts), rerank=True)

    assert ordered[search.RERANKED :] == fused[search.RERANKED :]
    assert {hit.key for hit in ordered} == {hit.key for hit in fused}
