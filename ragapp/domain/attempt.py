"""An answer that was written, with its grades, and whether it may be given."""

from dataclasses import dataclass

from ragapp.domain.citation import CitedAnswer, supported_share
from ragapp.domain.grade import Grade, GradeVerdict


@dataclass(frozen=True, slots=True)
class Attempt:
    """An answer with its grades, the one of the whole answer last."""

    cited: CitedAnswer
    grades: tuple[Grade, ...]

    @property
    def is_refused(self) -> bool:
        """By the whole answer's grade where that is calibrated, else by any of its parts."""
        whole = self.grades[-1]
        deciding = self.grades if whole.probability is None else (whole,)
        return any(grade.verdict is GradeVerdict.REFUSED for grade in deciding)

    @property
    def can_stand(self) -> bool:
        """Whether it may be given at all."""
        return not self.is_refused and supported_share(self.cited) > 0

    @property
    def is_sure(self) -> bool:
        """Whether it clears a second try's bar: those are made mostly where nothing is right."""
        whole = self.grades[-1]
        return whole.probability is None or whole.verdict is GradeVerdict.ACCEPTED

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to mend."""
        return self.can_stand and supported_share(self.cited) == 1

    @property
    def worth(self) -> tuple[float, float]:
        """The better of two has the larger."""
        return supported_share(self.cited), self.grades[-1].probability or 0.0
