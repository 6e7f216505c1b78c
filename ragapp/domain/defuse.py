"""Control tokens in text made plain: for a server that writes the chat's template itself.

A model in this process reads text without special tokens at all. A server is sent text and applies
its own template, and some read ``<|im_start|>`` in a passage as the beginning of a turn. So every
known spelling gets a space inside, which no tokenizer takes for a control token any more.
"""

import re

_CONTROL = re.compile(
    r"<\|[^|<>\n]{1,60}\|>"  # ChatML, Llama 3, Phi, Qwen: <|im_start|>, <|eot_id|>.
    r"|<\uff5c[^\uff5c<>\n]{1,60}\uff5c>"  # DeepSeek's full-width bars.
    r"|<(?:start|end)_of_turn>"  # Gemma.
    r"|</?(?:s|bos|eos|pad|unk|think|tool_call|tool_response)>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS)\]"  # Mistral.
    r"|<</?SYS>>",  # Llama 2.
    re.IGNORECASE,
)


def defused(text: str) -> str:
    """``text`` in which nothing is a control token of a known chat template."""
    return _CONTROL.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
