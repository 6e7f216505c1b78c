"""What a training has done so far: its progress, in words and numbers, and its result."""

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Counts of one attempt at a training."""

    begun_at: float = field(default_factory=time.monotonic)
    total: int = 0
    ready: int = 0
    unchanged: int = 0
    duplicates: int = 0
    failed: int = 0
    unlisted: int = 0
    removed: int = 0
    deleted: int = 0
    read: int = 0
    chunks: int = 0
    embed_seconds: float = 0.0
    finished_before: int = 0
    first_error: str = ""

    @property
    def done(self) -> int:
        """Documents that need no more work."""
        return self.finished_before + self._done_here

    @property
    def _done_here(self) -> int:
        return self.ready + self.unchanged + self.duplicates + self.failed + self.deleted

    def note_error(self, url: str, error: str) -> None:
        """Keep the first error, for the operation's end."""
        self.first_error = self.first_error or f"{url}: {error}"

    def message(self, stage: str) -> str:
        """Where it is, how fast each stage is, and how long it may take."""
        elapsed = max(time.monotonic() - self.begun_at, 0.001)
        said = [f"{self.done} of {self.total} documents"]
        if self.read:
            said.append(f"{self.read} read, {self.read / elapsed:.1f} a second")
        if self.embed_seconds:
            said.append(f"{self.chunks / self.embed_seconds:.1f} chunks/s embedded")
        if done := self._done_here:
            left = max(0, self.total - self.done)
            said.append(f"about {elapsed / done * left:.0f} s left")
        return f"{stage} ({'; '.join(said)})"

    def result(self) -> dict[str, object]:
        """The counts, for the operation."""
        return {
            "documents": self.ready,
            "unchanged": self.unchanged + self.finished_before,
            "duplicates": self.duplicates,
            "failed": self.failed,
            "removed": self.removed,
            "chunks": self.chunks,
            "first_error": self.first_error,
        }
