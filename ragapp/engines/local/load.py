"""Loads a model from a folder or by hub name: safetensors only, no code from the model's side."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ragapp.engines.local.files import Files, find, unusable
from tenants.errors import PermanentError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready for inference with its tokenizer."""

    name: str
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    device: str

    @property
    def context_tokens(self) -> int:
        """Positions that the model was trained for."""
        return int(self.model.config.max_position_embeddings)

    @property
    def parameters(self) -> int:
        """How many numbers the model has."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def end_tokens(self) -> frozenset[int]:
        """Every token with which this model ends its turn."""
        configured = getattr(self.model.generation_config, "eos_token_id", None)
        listed = configured if isinstance(configured, list) else [configured]
        return frozenset(
            token for token in (*listed, self.tokenizer.eos_token_id) if isinstance(token, int)
        )


def load(
    source: str,
    *,
    revision: str = "main",
    dtype: str = "bfloat16",
    sha256: str = "",
    may_fetch: bool = False,
) -> Loaded:
    """Load ``source`` onto the GPU where there is one, else the CPU.

    Args:
        source: A folder, a GGUF file or a hub id; see ``files.find``.
        revision: Commit of a hub id; a folder has none.
        dtype: Of the weights; bfloat16 is the fastest on CPUs and GPUs of the last years. A GGUF
            file's weights are unpacked, and compute in float32.
        sha256: What the weights must hash to; empty for whatever is there.
        may_fetch: Whether a hub may be asked.

    Raises:
        PermanentError: There is no usable model at ``source``, or its weights are others.
    """
    found = find(source, revision=revision, may_fetch=may_fetch)
    if sha256:
        _check(found, source, sha256)
    model, tokenizer = _read(found, source, dtype)
    if tokenizer.chat_template is None:
        raise PermanentError(
            f"The model {source} has no chat template; use an instruction-tuned model.",
            code="model-unusable",
        )
    return placed(found.name, model, tokenizer)


def _read(
    found: Files, source: str, dtype: str
) -> tuple["PreTrainedModel", "PreTrainedTokenizerBase"]:
    import torch  # noqa: PLC0415 - slow import
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415 - slow import

    where: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    how: dict[str, Any] = {"dtype": getattr(torch, dtype), "use_safetensors": True}
    if found.gguf:
        where["gguf_file"] = found.gguf
        how = {"dtype": torch.float32}
    try:
        tokenizer = AutoTokenizer.from_pretrained(found.folder, **where)
        model = AutoModelForCausalLM.from_pretrained(found.folder, **how, **where)
    except (OSError, ValueError, KeyError) as error:
        raise unusable(source, str(error).rstrip(".")) from error
    return model, tokenizer


def _check(found: Files, source: str, sha256: str) -> None:
    actual = found.sha256()
    if actual != sha256:
        raise PermanentError(
            f"The weights of {source} are not those that were allowed: they hash to {actual}, and"
            f" {sha256} is on record. If the change was meant, clear the hash in the models' list.",
            code="model-changed",
        )


def placed(name: str, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> Loaded:
    """The model on the GPU where there is one, else on the CPU."""
    import torch  # noqa: PLC0415 - slow import

    device = "cuda" if torch.cuda.is_available() else "cpu"
    # Called on the base class: the subclass wraps `to` in a way that loses its type.
    torch.nn.Module.to(model, device)
    return Loaded(name, model, tokenizer, device)
