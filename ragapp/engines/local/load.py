"""Loads a model from a folder or by hub name: safetensors only, no code from the model's side."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


def load(source: str, *, revision: str = "main", dtype: str = "bfloat16") -> Loaded:
    """Load ``source`` onto the GPU where there is one, else the CPU.

    Args:
        source: A folder with safetensors and tokenizer, or a hub id such as ``org/name``.
        revision: Commit of a hub id; a folder has none.
        dtype: Of the weights; bfloat16 is the fastest on CPUs and GPUs of the last years.

    Raises:
        PermanentError: There is no usable model at ``source``.
    """
    import torch  # noqa: PLC0415 - slow import
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415 - slow import

    is_folder = Path(source).is_dir()
    where: dict[str, Any] = {"trust_remote_code": False, "local_files_only": is_folder}
    if not is_folder:
        where["revision"] = revision
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **where)
        model = AutoModelForCausalLM.from_pretrained(
            source, dtype=getattr(torch, dtype), use_safetensors=True, **where
        )
    except (OSError, ValueError, KeyError) as error:
        raise PermanentError(
            f"The model {source} cannot be loaded: {error}. "
            "Check that the folder holds safetensors weights and a tokenizer.",
            code="model-unusable",
        ) from error
    if tokenizer.chat_template is None:
        raise PermanentError(
            f"The model {source} has no chat template; use an instruction-tuned model.",
            code="model-unusable",
        )
    return placed(Path(source).name if is_folder else source, model, tokenizer)


def placed(name: str, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> Loaded:
    """The model on the GPU where there is one, else on the CPU."""
    import torch  # noqa: PLC0415 - slow import

    device = "cuda" if torch.cuda.is_available() else "cpu"
    # Called on the base class: the subclass wraps `to` in a way that loses its type.
    torch.nn.Module.to(model, device)
    return Loaded(name, model, tokenizer, device)
