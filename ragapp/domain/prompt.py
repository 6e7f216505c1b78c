"""The one prompt of a run, and the short suffixes that are asked of its cache.

System text, question and passages ``[1..k]`` are read once. Passages stand between delimiters
that are random per request, so that no document can forge where the data ends; control tokens
are neutralised by the engine. Small models need short words: each sentence here was tried on one
of 135 million parameters, and none knows the question.
"""


from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ragapp.domain.engine import Message
from ragapp.domain.passage import Passage
