"""Where a model's files are: a folder, a GGUF file, or a hub's copy; and what they hash to.

Only weights that cannot carry code are ever looked at: safetensors and GGUF, never pickle.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tenants.errors import PermanentError

# What is fetched from a hub beside the weights: the tokenizer, the shape, the chat template.
_SMALL_FILES = ["*.json", "*.jinja", "*.txt", "tokenizer.model"]
_BLOCK_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Files:
    """A model on disk.

    Attributes:
        name: For people and traces.
        folder: Holds weights, tokenizer and configuration.
        gguf: Name of the one file that holds it all; empty for safetensors.
    """

    name: str
    folder: Path
    gguf: str = ""

    def sha256(self) -> str:
        """Of the weights: their names and contents, in order of the names; in hexadecimal."""
        total = hashlib.sha256()
        for file in [self.folder / self.gguf] if self.gguf else self._weights():
            own = hashlib.sha256()
            with file.open("rb") as stream:
                while block := stream.read(_BLOCK_BYTES):
                    own.update(block)
            total.update(f"{file.name} {own.hexdigest()}\n".encode())
        return total.hexdigest()

    def _weights(self) -> list[Path]:
        return sorted(self.folder.glob("*.safetensors"))


def find(source: str, *, revision: str = "main", may_fetch: bool = False) -> Files:
    """The files of a model.

    Args:
        source: A folder, a ``.gguf`` file, or a hub id such as ``org/name`` or
            ``org/name:file.gguf``.
        revision: Commit or branch of a hub id.
        may_fetch: Whether a hub may be asked; else only what was fetched before is found.

    Raises:
        PermanentError: There is nothing at ``source`` that may be loaded.
    """
    path = Path(source)
    if path.is_dir():
        files = Files(path.name, path)
    elif path.suffix == ".gguf" and path.is_file():
        files = Files(path.stem, path.parent, path.name)
    else:
        files = _from_hub(source, revision=revision, may_fetch=may_fetch)
    if not files.gguf and not any(files.folder.glob("*.safetensors")):
        raise unusable(source, "it holds no safetensors weights, and other kinds are never read")
    return files


def unusable(source: str, why: str) -> PermanentError:
    """The error for a model that cannot be used."""
    return PermanentError(
        f"The model {source} cannot be loaded: {why}. Name a folder with safetensors weights and a"
        " tokenizer, or a GGUF file.",
        code="model-unusable",
    )


def _from_hub(source: str, *, revision: str, may_fetch: bool) -> Files:
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - slow import

    repository, _, gguf = source.partition(":")
    if gguf and (not gguf.endswith(".gguf") or "/" in gguf):
        raise unusable(source, f"{gguf} is not the name of a GGUF file")
    weights = [gguf] if gguf else ["*.safetensors"]
    try:
        folder = snapshot_download(
            repository,
            revision=revision or "main",
            local_files_only=not may_fetch,
            allow_patterns=[*_SMALL_FILES, *weights],
        )
    except (OSError, ValueError) as error:
        raise unusable(source, f"no such folder or file, and {_first_line(error)}") from error
    if gguf and not (Path(folder) / gguf).is_file():
        raise unusable(source, f"there is no file {gguf}")
    return Files(source, Path(folder), gguf)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
