"""Bytes to ``Document``: one extractor per format, run in a child process that can be killed."""

from ragapp.extract.child import ExtractionError, Limits, close, extract

__all__ = ["ExtractionError", "Limits", "close", "extract"]
