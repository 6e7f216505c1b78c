import json

import pytest

from ragapp.domain import completion
from ragapp.domain.completion import Link, read_chat
from ragapp.domain.followup import Exchange
from tenants.errors import InvalidError

LINKS = {1: Link("http://portal/1", "One", 4, 10, 90), 2: Link("http://portal/2", "Two")}


def chat(text: str, **more):
    return read_chat({"model": "sluice", "messages": [{"role": "user", "content": text}], **more})


def test_last_turn_of_the_user_is_the_question():
    read = read_chat(
        {
            "model": "sluice/docs",
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": "First?"},
                {"role": "assistant", "content": "Yes [1]."},
                {"role": "user", "content": [{"type": "text", "text": "And second?"}]},
            ],
            "temperature": 0.2,
            "something": "unknown",
        }
    )

    assert (read.model, read.question, read.is_streamed) == ("sluice/docs", "And second?", False)
    assert read.earlier == (Exchange("First?", "Yes ."),)


def test_what_can_be_neither_stored_nor_sent_is_replaced():
    said = [
        {"role": "user", "content": "a\0b"},
        {"role": "assistant", "content": "c\ud83d"},
        {"role": "user", "content": [{"type": "text", "text": "d\udfffe \U0001f600"}]},
    ]

    read = read_chat({"model": "sluice", "messages": said})

    assert read.question == "d\ufffde \U0001f600"
    assert read.earlier == (Exchange("a\ufffdb", "c\ufffd"),)


def test_only_the_last_exchanges_are_kept_and_cut_to_length():
    asked = [
        {"role": role, "content": f"{number} " + "x" * 5000}
        for number in range(9)
        for role in ("user", "assistant")
    ]
    read = read_chat({"model": "sluice", "messages": [*asked, {"role": "user", "content": "And?"}]})

    assert [exchange.question[0] for exchange in read.earlier] == ["6", "7", "8"]
    assert {len(exchange.answer) for exchange in read.earlier} == {600}


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ([], "messages"),
        ({"model": "sluice"}, "messages"),
        ({"model": "sluice", "messages": []}, "messages"),
        ({"model": "sluice", "messages": ["hi"]}, "messages[0]"),
        ({"model": "sluice", "messages": [{"role": "assistant", "content": "x"}]}, "messages"),
        ({"model": "sluice", "messages": [{"role": "user", "content": " "}]}, "messages"),
        (
            {"model": "sluice", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content",
        ),
        ({"messages": [{"role": "user", "content": "x"}]}, "model"),
        ({"model": "sluice/\0", "messages": [{"role": "user", "content": "x"}]}, "model"),
        ({"model": "sluice/\ud800", "messages": [{"role": "user", "content": "x"}]}, "model"),
        ({"model": "s", "messages": [{"role": "user", "content": "x"}], "n": 2}, "n"),
        ({"model": "s", "messages": [{"role": "user", "content": "x"}], "stream": "yes"}, "stream"),
        (
            {"model": "s", "messages": [{"role": "user", "content": "x"}], "stream_options": 1},
            "stream_options",
        ),
    ],
)
def test_wrong_parameter_is_named(body, parameter):
    with pytest.raises(InvalidError) as refused:
        read_chat(body)

    assert list(refused.value.fields) == [parameter]


@pytest.mark.parametrize(
    ("model", "corpus"),
    [("sluice", ""), ("sluice/docs", "docs"), ("sluice/", None), ("gpt-4", None)],
)
def test_model_names_a_corpus(model, corpus):
    assert completion.corpus_name(model) == corpus


def test_annotations_point_to_their_marks():
    text = "A pool [1]. Süß, twice [1, 2] and [9]."

    found = completion.annotations(text, LINKS)

    places = [annotation["url_citation"] for annotation in found]
    assert [text[place["start_index"] : place["end_index"]] for place in places] == [
        "[1]",
        "[1, 2]",
        "[1, 2]",
    ]
    assert [(place["title"], place["number"]) for place in places] == [
        ("One", 1),
        ("One", 1),
        ("Two", 2),
    ]
    assert [places[0][name] for name in ("page", "start", "end")] == [4, 10, 90]
    assert places[2]["page"] is None


def test_sources_are_listed_by_number():
    assert completion.with_sources("A pool [1].", LINKS).splitlines()[2:] == [
        "Sources:",
        "[1] One: http://portal/1",
        "[2] Two: http://portal/2",
    ]
    assert completion.with_sources("Nothing.", {}) == "Nothing."


@pytest.mark.parametrize("text", ["", "one", " a  b\n\nc ", "Süß [1]."])
def test_pieces_are_the_text(text):
    assert "".join(completion.pieces(text)) == text


@pytest.mark.parametrize(
    ("wanted", "reply"),
    [
        (
            "Generate a concise, 3-5 word title\n### Chat History:\nUSER: What is a SNAT pool for,"
            " and who owns it?\nASSISTANT: ...",
            {"title": "What is a SNAT pool for,"},
        ),
        ("Generate 1-3 broad tags\n### Chat History:\nUSER: x", {"tags": []}),
        ("Suggest 3-5 relevant follow-up questions\n### Chat History:\nx", {"follow_ups": []}),
        ("Generate search queries\n### Chat History:\nx", {"queries": []}),
    ],
)
def test_front_ends_errand_needs_no_model(wanted, reply):
    asked = chat(f"### Task:\n{wanted}")

    assert asked.is_task
    assert json.loads(completion.task_reply(asked)) == reply
