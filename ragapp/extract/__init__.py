"""Bytes to ``Document``: one extractor per format, run in a child process that can be killed."""
