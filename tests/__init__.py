"""Tests of what no single app owns: the story, the docs, the architecture, the stand-ins."""
