"""The error that a user can cause and correct, and errors as one line of text."""

import difflib
import re
import sys
from collections.abc import Sequence

_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
)  # control characters, those that reverse the direction of a text, and halves of a pair
_LINE_BREAK = re.compile(r" *[\t\n\r\x0b\x0c\x85\u2028\u2029]\s*")


def printable(text: str) -> str:
    """A text as one line in which nothing controls a terminal or a document: such characters become U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", _LINE_BREAK.sub(" ", text)).strip()


class UsageError(ValueError):
    """Wrong usage, configuration or data: one line that names what is wrong and says what to do. Exit code 2."""


class Submitted(Exception):
    """The runs are left to the jobs of a cluster, and the command does not wait for them. Exit code 0."""


_SYNONYMS = {  # what others call a key
    "model": "architecture", "network": "architecture", "net": "architecture", "data": "dataset",
    "learning_rate": "optimizer.lr", "lrs": "protocol.learning_rates", "batch": "training.batch_size",
    "wd": "optimizer.weight_decay", "init": "initialization", "device": "execution.device",
}  # fmt: skip
_LONGEST_WORD, _LONGEST_LINE = 400, 2000  # characters of an error


def print_error(error: object) -> None:
    """Prints an error on stderr, as one line even where the message has several.

    Long words are shortened, and what is not printable, such as an escape sequence of a file's name, is shown as code.
    """
    words = ["".join(map(_shown, word)) for word in str(error).split()]
    words = [word if len(word) <= _LONGEST_WORD else f"{word[:300]}...{word[-60:]}" for word in words]
    line = " ".join(words)
    line = line if len(line) <= _LONGEST_LINE else f"{line[:1500]} ... {line[-400:]}"
    print(f"actbench: error: {line}", file=sys.stderr)


def _shown(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


def one_line(error: BaseException) -> str:
    """Type and first line of the message of any exception."""
    try:
        text = str(error).strip().splitlines()
    except Exception:  # str() of a user's exception class may raise
        text = []
    return printable(f"{type(error).__name__}: {text[0]}") if text else type(error).__name__


def nearest_names(name: str, options: Sequence[str]) -> str:
    """Returns the options most similar to a name, worded as the end of an error message.

    Those whose last part is the name come first: `lr` is near to `optimizer.lr`.
    """
    last = name.rpartition(".")[2]
    near = [option for option in options if last and option.rpartition(".")[2] == last]
    near += [option for option in options if option.lower() == name.lower() or option == _SYNONYMS.get(name)]
    near += difflib.get_close_matches(name, options, n=4, cutoff=0.5)
    if not near:
        lasts = {option.rpartition(".")[2]: option for option in reversed(options)}
        near = [lasts[close] for close in difflib.get_close_matches(last, list(lasts), n=4, cutoff=0.6)]
    if near:
        return f"; near: {', '.join(list(dict.fromkeys(near))[:4])}"
    return f"; there are: {', '.join(options)}" if len(options) <= 40 else "; `actbench options` prints all"
