"""Output streams whose reader may be gone."""

import io
import os
from collections.abc import Callable
from typing import TextIO


class PipeSafeStream(io.TextIOBase):
    """A stream whose reader may close the pipe, as in `actbench compare | head`: only what is printed then is lost."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes the text, or drops it if the reader is gone. What the encoding cannot express is written as code."""
        try:
            self._try(lambda: self._stream.write(text))
        except UnicodeEncodeError:  # a file's name that is no text
            encoding = self._stream.encoding
            printable = text.encode(encoding, "backslashreplace").decode(encoding)
            self._try(lambda: self._stream.write(printable))
        return len(text)

    def flush(self) -> None:
        """Flushes, unless the reader is gone."""
        self._try(self._stream.flush)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The stream's file descriptor."""
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's encoding."""
        return self._stream.encoding
