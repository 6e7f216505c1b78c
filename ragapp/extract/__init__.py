"""Bytes to ``Document``: one extractor per format, run in a child process that can be killed."""

from ragapp.extract.child import ExtractionError, Limits, extract

__all__ = ["ExtractionError", "Limits", "extract"]
