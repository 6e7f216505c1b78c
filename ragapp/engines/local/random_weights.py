"""A model of a usual shape with random weights: to measure speed where no weights can be had."""

from typing import TYPE_CHECKING, Any

from ragapp.engines.local.load import Loaded, placed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# A model of seven thousand million parameters as they are built now: grouped heads, wide layers.
SEVEN_BILLION = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 32768,
    "max_position_embeddings": 8192,
}
# The same in small, for machines without a GPU: it exercises the way, its speed says nothing.
TINY = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 512,
    "max_position_embeddings": 2048,
}
_SPECIAL = {"bos_token": "<s>", "pad_token": "</s>"}
_TEMPLATE = (
    "{% for message in messages %}<s>{{ message['role'] }}\n{{ message['content'] }}</s>\n"
    "{% endfor %}{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)


def random_weights(*, seed: int = 7) -> Loaded:
    """A Llama in bfloat16 on the GPU, or a tiny one on a CPU; it writes on and on."""
    import torch  # noqa: PLC0415 - slow import
    from transformers import AutoModelForCausalLM, LlamaConfig  # noqa: PLC0415 - slow import

    has_gpu = torch.cuda.is_available()
    shape = SEVEN_BILLION if has_gpu else TINY
    configuration: Any = LlamaConfig
    config = configuration(
        **shape, bos_token_id=0, eos_token_id=None, pad_token_id=1, tie_word_embeddings=False
    )
    torch.manual_seed(seed)
    with torch.device("cuda" if has_gpu else "cpu"):
        factory: Any = AutoModelForCausalLM
        model = factory.from_config(config, dtype=torch.bfloat16).eval()
    return placed("random-7b" if has_gpu else "random-tiny", model, _tokenizer())


def _tokenizer() -> "PreTrainedTokenizerBase":
    """Byte by byte, with yes and no as tokens of their own."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415 - slow import
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415 - slow import

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Y", "e"), ("Ye", "s"), ("N", "o")]
    words = [*_SPECIAL.values(), *letters, *(one + other for one, other in merges)]
    tokenizer = Tokenizer(
        models.BPE(vocab={word: number for number, word in enumerate(words)}, merges=merges)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast: Any = PreTrainedTokenizerFast
    made: PreTrainedTokenizerBase = fast(
        tokenizer_object=tokenizer, chat_template=_TEMPLATE, **_SPECIAL
    )
    return made
