"""The one error of the supervisor: a sentence for the person at the terminal."""


class StartError(Exception):
    """Sluice cannot start; the message says what is wrong, with what, and what to do next."""
