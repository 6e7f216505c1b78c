"""Pages of the agent: corpora, questions, and the trace of each run."""
