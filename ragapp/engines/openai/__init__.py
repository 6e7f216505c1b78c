"""Any OpenAI-compatible server (vLLM, ``transformers serve``) behind the ``Engine`` port.

Every call sends the whole chat; the server's own prefix cache makes the repeated part cheap. A
grade is one token with the log-probabilities of its rivals.
"""

from ragapp.engines.openai.engine import OpenAIEngine

__all__ = ["OpenAIEngine"]
