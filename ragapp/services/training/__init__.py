"""Training: a corpus's sources become documents, chunks and postings.

list -> fetch, extract and split, ahead in threads (``reading``) -> embed across documents, in a
thread of the model's (``window``) -> index, a few documents in each commit (``store``). What is
still to do stands in the rows of documents, so a training that was killed goes on where it stopped,
a cancel leaves whole ones, and memory does not grow with the corpus. Nothing slow happens inside a
transaction. What is wrong with one document is that document's error and stops no other.
"""

from ragapp.services.training.abandoned import release_abandoned
from ragapp.services.training.run import train

__all__ = ["release_abandoned", "train"]
