"""Why one file is not read: said by its extractor, told to people as it stands."""


class RefusedError(Exception):
    """The file cannot be read, and the reason is known.

    Args:
        code: Short and stable: ``encrypted``, ``too-large``, ``mislabelled``, ``broken``.
        message: One sentence for people: what is wrong and what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
