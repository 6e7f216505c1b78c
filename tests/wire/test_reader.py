"""The stand-in reader: what it reads, that it errs as told, and that its cache is a real one."""

import json
import statistics

import httpx2
import openai
import pytest

from benchmarks.datasets import Document, Question, QuestionSet
from ragapp.domain import prompt
from ragapp.domain.engine import Message, continued
from ragapp.domain.passage import Passage, Source
from ragapp.engines.openai import OpenAIEngine
from tests.wire import reader, server
from tests.wire.reading import Reader, Skill

PAIRS = 400
PERFECT = Skill(auc=0.9999, right=1.0, mislabels=0.0)


def key_of(count: int) -> QuestionSet:
    """Every second question cannot be answered."""
    passages = tuple(
        Document(f"p{n}", f"Title {n}", f"Pool {n} is of no use. Router {n} has {n + 7000} ports.")
        for n in range(count)
    )
    questions = tuple(
        Question(
            id=f"q{n}",
            text=f"How many ports has router number {n}?",
            answers=(str(n + 7000),) if n % 2 == 0 else (),
            is_answerable=n % 2 == 0,
            passage=f"p{n}",
        )
        for n in range(count)
    )
    return QuestionSet("key", passages, questions)


def chat(key: QuestionSet, number: int, suffix: str = "", *, others: int = 2) -> list[dict]:
    """As the product asks about question ``number``, its passage first."""
    shown = [key.passages[(number + step) % len(key.passages)] for step in range(others + 1)]
    passages = [Passage(p.id, Source.LOCAL, p.title, p.text, 0, len(p.text)) for p in shown]
    built = prompt.messages(key.questions[number].text, passages, delimiter="<<0a1b>>")
    return [{"role": m.role, "content": m.text} for m in continued(built, suffix)]


@pytest.fixture(scope="module")
def key() -> QuestionSet:
    return key_of(PAIRS)


@pytest.fixture
def wire(key):
    with server.serving(reader.build("127.0.0.1:0", key, skill=PERFECT)) as running:
        yield running


def test_it_finds_the_question_and_each_passage_in_the_prompt(key):
    shown = Reader(key).shown(chat(key, 4))

    assert shown.question == key.questions[4]
    assert [text.strip() for text in shown.passages.values()] == [
        f"Title {n}: {key.passages[n].text}" for n in (4, 5, 6)
    ]


def test_grades_err_at_the_stated_rate(key):
    reading = Reader(key, skill=Skill(auc=0.85))
    margins = [reading.margin(chat(key, n, prompt.relevance_question(1))) for n in range(PAIRS)]
    yes, no = margins[::2], margins[1::2]

    wins = sum((y > n) + (y == n) / 2 for y in yes for n in no) / (len(yes) * len(no))

    assert wins == pytest.approx(0.85, abs=0.04)
    assert statistics.mean(margins) == pytest.approx(Skill().bias, abs=0.3)


def test_the_same_question_gets_the_same_grade_and_another_seed_another(key):
    asked = chat(key, 2, prompt.relevance_question(1))

    assert Reader(key).margin(asked) == Reader(key).margin(asked)
    assert Reader(key).margin(asked) != Reader(key, seed=1).margin(asked)


def test_a_passage_of_another_question_is_not_relevant(key):
    reading = Reader(key, skill=PERFECT)

    assert reading.margin(chat(key, 2, prompt.relevance_question(1))) > 0
    assert reading.margin(chat(key, 2, prompt.relevance_question(2))) < 0


def test_answers_are_right_at_the_stated_rate_and_only_with_the_passage(key):
    reading = Reader(key, skill=Skill(right=0.8, mislabels=0.0))
    answerable = range(0, PAIRS, 2)

    with_it = [str(n + 7000) in reading.write(chat(key, n)).text for n in answerable]
    without = [str(n + 7000) in reading.write(chat(key, n)[:1] + chat(key, n + 1)[1:]).text
               for n in answerable if n + 1 < PAIRS]  # fmt: skip

    assert statistics.mean(with_it) == pytest.approx(0.8, abs=0.07)
    assert not any(without)


def test_it_keeps_to_the_passages_that_it_is_told_to_use(key):
    reading = Reader(key, skill=PERFECT)

    told = reading.write(chat(key, 2, prompt.answer_instruction([2, 3], of=3))).text

    assert "7002" not in told


def test_the_engine_of_the_product_grades_and_answers(key, wire):
    engine = OpenAIEngine(f"{wire.url}/v1/", reader.MODEL)
    turns = tuple(Message(turn["role"], turn["content"]) for turn in chat(key, 2))
    session = engine.open(turns)

    relevant, other = session.grade([prompt.relevance_question(1), prompt.relevance_question(2)])
    pieces: list[str] = []
    written = session.generate("", max_new_tokens=64, on_text=pieces.append)

    assert relevant > 0 > other
    assert written.text == "Router 2 has 7002 ports. [1]" == "".join(pieces)
    assert written.mean_logprob < 0
    assert session.usage.grade_tokens < session.usage.prompt_tokens
    engine.close()


def test_the_cache_counts_the_shared_prefix_and_nothing_else(key, wire):
    def cached(turns: list[dict]) -> tuple[int, int]:
        asked = {"model": reader.MODEL, "messages": turns, "max_tokens": 1, "logprobs": True}
        reply = httpx2.post(f"{wire.url}/v1/chat/completions", json=asked, timeout=60.0).json()
        usage = reply["usage"]
        return usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]

    first = cached(chat(key, 8))
    second = cached(chat(key, 8, prompt.relevance_question(1)))
    foreign = cached(chat(key, 100))

    assert first[1] == 0
    assert first[0] - 2 * reader.BLOCK_TOKENS < second[1] <= first[0]
    assert foreign[1] < first[0] / 2


def test_the_official_client_reads_its_stream_and_its_list(key, wire):
    client = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="none", max_retries=0)

    stream = client.chat.completions.create(
        model=reader.MODEL,
        messages=chat(key, 2),
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)

    assert [model.id for model in client.models.list()] == [reader.MODEL]
    assert text == "Router 2 has 7002 ports. [1]"
    assert chunks[-1].usage.completion_tokens > 0
    client.close()


@pytest.mark.parametrize("body", ["no json", "{}", '{"messages": []}'])
def test_what_is_no_chat_is_a_400(wire, body):
    reply = httpx2.post(
        f"{wire.url}/v1/chat/completions",
        content=body,
        headers={"Content-Type": "application/json"},
        timeout=60.0,
    )

    assert (reply.status_code, "error" in json.loads(reply.text)) == (400, True)


def test_a_question_without_passages_is_put_in_other_words(key):
    rewrite = [{"role": m.role, "content": m.text} for m in prompt.rewrite_messages(
        key.questions[2].text)]  # fmt: skip

    assert Reader(key).write(rewrite).text == "many ports router number"
