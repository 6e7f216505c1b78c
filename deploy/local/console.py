"""What the person at the terminal sees: one line per finished step, and a live line for what is
under way.
"""

import shutil
import sys
import time
from typing import TextIO

_NAME_WIDTH = 10
_QUIET_SECONDS = 5.0


class Console:
    """Lines on a terminal; without one (a log, CI) the live line becomes an ordinary line every few
    seconds.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._is_terminal = self._stream.isatty()
        self._live_length = 0
        self._last_line_at = time.monotonic()

    def step(self, name: str, text: str, seconds: float) -> None:
        """``name`` is ready after ``seconds``."""
        self.line(f"  ok  {name:<{_NAME_WIDTH}} {text:<52} {seconds:6.1f} s")

    def line(self, text: str = "") -> None:
        """One line that stays."""
        self._wipe()
        self._stream.write(f"{text}\n")
        self._stream.flush()
        self._last_line_at = time.monotonic()

    def waiting(self, text: str) -> None:
        """What is under way at this moment; replaced by the next call."""
        if not self._is_terminal:
            if time.monotonic() - self._last_line_at >= _QUIET_SECONDS:
                self.line(f"  ..  {text}")
            return
        text = f"  ..  {text}"[: shutil.get_terminal_size().columns - 1]
        self._wipe()
        self._stream.write(text)
        self._stream.flush()
        self._live_length = len(text)

    def _wipe(self) -> None:
        if self._live_length:
            self._stream.write("\r" + " " * self._live_length + "\r")
            self._live_length = 0
