"""The benchmarks' runner: who decides, what is printed, and which data are read."""

import gzip
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import __main__ as command
from benchmarks import datasets, runner
from benchmarks.runner import BenchmarkError, Context, Figure

FINITE = st.floats(min_value=0.001, max_value=1e6)


@pytest.mark.parametrize(
    ("figure", "holds"),
    [
        (Figure(key="k", value=80, baseline=100, goal=0.8, unit="MiB/s"), True),
        (Figure(key="k", value=79, baseline=100, goal=0.8, unit="MiB/s"), False),
        (Figure(key="k", value=1.5, goal=2, unit="s", better="lower"), True),
        (Figure(key="k", value=2.5, goal=2, unit="s", better="lower"), False),
        (Figure(key="k", value=3, baseline=2, goal=1.6, unit="s", better="lower"), True),
        (Figure(key="k", value=3, baseline=0, goal=1, unit="s"), False),
        (Figure(key="k", value=math.nan, goal=1, unit="s"), False),
        (Figure(key="k", value=math.inf, unit="s"), False),
        (Figure(key="k", value=3, unit="s"), True),
    ],
)
def test_a_figure_holds_by_its_ratio_or_else_by_its_value(figure, holds):
    assert figure.holds is holds


@given(value=FINITE, baseline=FINITE, goal=FINITE)
def test_better_higher_and_better_lower_differ_unless_the_goal_is_met_exactly(
    value, baseline, goal
):
    high = Figure(key="k", value=value, baseline=baseline, goal=goal, unit="", better="higher")
    low = Figure(key="k", value=value, baseline=baseline, goal=goal, unit="", better="lower")

    assert (high.holds is not low.holds) or high.ratio == goal


def test_the_last_line_is_the_json_object_and_the_table_stands_above(capsys):
    figures = [
        Figure(key="speed", value=50, baseline=100, goal=0.4, unit="MiB/s"),
        Figure(key="delay", value=3, goal=2, unit="s", better="lower"),
    ]

    holds = runner.measure("sample", lambda _: figures, Context())

    lines = capsys.readouterr().out.splitlines()
    assert holds is False
    assert json.loads(lines[-1]) == {
        "name": "sample",
        "figures": {
            "speed": {"value": 50, "baseline": 100, "ratio": 0.5, "goal": 0.4, "unit": "MiB/s"},
            "delay": {"value": 3, "baseline": None, "ratio": None, "goal": 2, "unit": "s"},
        },
        "holds": False,
    }
    assert "cores, load" in lines[0]
    assert [line.split()[-1] for line in lines if line.startswith(("speed", "delay"))] == [
        "holds",
        "MISSED",
    ]


def test_a_number_that_is_none_is_null_and_does_not_hold(capsys):
    runner.measure("sample", lambda _: [Figure(key="k", value=math.nan, unit="s")], Context())

    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["figures"]["k"]["value"] is None
    assert last["holds"] is False


def test_a_benchmark_that_breaks_or_measures_nothing_does_not_hold(capsys):
    def breaks(context):
        raise RuntimeError("the proxy is gone")

    for run in (breaks, lambda _: []):
        assert runner.measure("sample", run, Context()) is False

        printed = capsys.readouterr().out.splitlines()
        assert json.loads(printed[-1]) == {"name": "sample", "figures": {}, "holds": False}


def test_an_unknown_name_says_which_there_are(capsys):
    assert command.main(["nothing"]) == 2
    assert "There are: " in capsys.readouterr().err


def test_a_benchmark_that_needs_data_says_how_to_give_them():
    with pytest.raises(BenchmarkError, match="DATA=<folder>"):
        Context().need_data()


@pytest.mark.parametrize("name", runner.names())
def test_each_benchmark_has_a_run_function(name):
    assert callable(runner.load(name))


@pytest.fixture
def retrieval(tmp_path):
    lines = [
        {"_id": "d1", "title": "SNAT", "text": "pools"},
        {"_id": "d2", "title": "", "text": "tags"},
    ]
    with gzip.open(tmp_path / "corpus.jsonl.gz", "wt") as stream:
        stream.write("".join(f"{json.dumps(line)}\n" for line in lines))
    queries = [{"_id": "q1", "text": "pool?"}, {"_id": "q2", "text": "unjudged"}]
    (tmp_path / "queries.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in queries))
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t0\n"
    )
    return tmp_path


def test_a_retrieval_set_is_read_whole(retrieval):
    loaded = datasets.load_retrieval(retrieval)

    assert [document.id for document in loaded.documents] == ["d1", "d2"]
    assert loaded.query_by_id == {"q1": "pool?"}
    assert loaded.grades_by_query == {"q1": {"d1": 1}}


def test_a_judgement_of_a_missing_document_is_named(retrieval):
    (retrieval / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td9\t1\n")

    with pytest.raises(datasets.DatasetError, match="does not hold: d9"):
        datasets.load_retrieval(retrieval)


def test_a_missing_file_is_named(retrieval):
    (retrieval / "queries.jsonl").unlink()

    with pytest.raises(datasets.DatasetError, match=r"queries\.jsonl\.gz or queries\.jsonl"):
        datasets.load_retrieval(retrieval)


def test_a_broken_line_is_named(retrieval):
    (retrieval / "queries.jsonl").write_text("{}\n{broken\n")

    with pytest.raises(datasets.DatasetError, match=r"A line has no text '_id'"):
        datasets.load_retrieval(retrieval)


def test_a_question_set_is_read_whole(tmp_path):
    passage = {"_id": "p1", "title": "SNAT", "text": "A pool is for leaving."}
    question = {
        "id": "q1",
        "question": "For what?",
        "answers": ["leaving"],
        "answerable": True,
        "gold_passage": "p1",
    }
    trap = {**question, "id": "q2", "answers": [], "answerable": False}
    (tmp_path / "passages.jsonl").write_text(json.dumps(passage))
    (tmp_path / "questions.jsonl").write_text(f"{json.dumps(question)}\n{json.dumps(trap)}\n")

    loaded = datasets.load_questions(tmp_path)

    assert [entry.id for entry in loaded.passages] == ["p1"]
    assert [(entry.answers, entry.is_answerable) for entry in loaded.questions] == [
        (("leaving",), True),
        ((), False),
    ]
