"""Text by characters: tiny Shakespeare, and UTF-8 files of one's own."""

import codecs
import hashlib
import urllib.request
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path

import numpy as np

from actbench.data.prepared import Loaded, PreparedData
from actbench.errors import UsageError
from actbench.signals import replaced_file

# Karpathy 2015, github.com/karpathy/char-rnn: 40,000 lines of Shakespeare.
SHAKESPEARE = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHAKESPEARE_BYTES = 1_115_394
SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
MOST_BYTES = 2**30  # of a text of one's own; in memory it takes up to 10 times as many
TEXT_NAMES = ("shakespeare", "text")

_PARTS = ("train", "validation", "test")
_SPLITS = {None: (0.8, 0.9), "nanogpt": (0.9, 1.0)}  # ends of training and validation, as shares of the text
_TIMEOUT = 30.0  # seconds without an answer


def text_files(name: str, root: Path, download: bool) -> list[Path]:
    """The text's file: `root` itself, or root/input.txt, of shakespeare first root/shakespeare/input.txt.

    shakespeare is downloaded where it is missing and that is allowed. Raises UsageError.
    """
    places = [root] if root.is_file() else [root / "input.txt"]
    if name == "shakespeare" and not root.is_file():
        places.insert(0, root / "shakespeare" / "input.txt")
    for place in places:
        if place.is_file():
            return [place]
    if name == "shakespeare" and download:
        _download(places[0])
        return [places[0]]
    missing = places[0] if root.is_dir() or name == "shakespeare" else root
    hint = "set dataset.root to a UTF-8 text file, or to a folder that holds input.txt"
    if name == "shakespeare":
        hint = (
            "run `actbench data fetch shakespeare` on a connected machine, or set dataset.root to the folder that "
            "holds it"
        )
    raise UsageError(f"dataset={name}: {missing} is missing; {hint}")


def _download(path: Path) -> None:
    """Writes tiny Shakespeare to `path`, once it is complete and its sum is right. Raises UsageError."""
    try:
        with urllib.request.urlopen(SHAKESPEARE, timeout=_TIMEOUT) as answer:
            content = answer.read(SHAKESPEARE_BYTES + 1)
        problem = _not_shakespeare(content)
        if problem is not None:
            raise OSError(f"what {SHAKESPEARE} sends {problem}")
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced_file(path) as scratch:
            scratch.write_bytes(content)
    except (OSError, HTTPException, ValueError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UsageError(
            f"dataset=shakespeare: {path} is missing and the download failed ({reason}); connect this machine, or set "
            "dataset.root to a folder that holds it"
        ) from error


def _not_shakespeare(content: bytes) -> str | None:
    """What shows that a content is not that of tiny Shakespeare; None if it is."""
    if len(content) != SHAKESPEARE_BYTES:
        size = f"more than {SHAKESPEARE_BYTES:,}" if len(content) > SHAKESPEARE_BYTES else f"{len(content):,}"
        return f"has {size} bytes, and tiny Shakespeare has {SHAKESPEARE_BYTES:,}"
    if hashlib.sha256(content).hexdigest() != SHAKESPEARE_SHA256:
        return "is not tiny Shakespeare: its SHA-256 sum is wrong"
    return None


def read_text(name: str, path: Path, split: str | None) -> Loaded:
    """The characters of a UTF-8 text in three parts: 80, 10 and 10 %, or 90, 10 and 0 % where split is `nanogpt`.

    A character's class is its place among all characters of the text, in order. A byte order mark at the beginning of a
    text of one's own is no character of it. Raises UsageError.
    """
    text = _text(name, path)
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    if not len(points):
        raise UsageError(f"dataset={name}: {path} is empty; name another text")
    known = np.zeros(int(points.max()) + 1, bool)
    known[points] = True
    characters = np.flatnonzero(known)
    if len(characters) < 2:
        raise UsageError(f"dataset={name}: {path} holds one character only, {text[0]!r}; name another text")
    classes = (np.cumsum(known) - 1).astype(np.uint8 if len(characters) <= 256 else np.int32)
    tokens = classes[points]
    first, second = (int(share * len(tokens)) for share in _SPLITS[split])
    arrays = dict(zip(_PARTS, (tokens[:first], tokens[first:second], tokens[second:]), strict=True))
    vocabulary = "".join(map(chr, characters.tolist()))
    fields = {"classes": len(characters), "vocabulary": vocabulary, "metric": "bits_per_character"}
    return Loaded(arrays, fields)


def _text(name: str, path: Path) -> str:
    """The content of a file; of shakespeare its sum is checked. Raises UsageError."""
    most = SHAKESPEARE_BYTES if name == "shakespeare" else MOST_BYTES
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise UsageError(f"dataset={name}: {path} cannot be read: {error.strerror}") from error
    if name == "shakespeare":
        if (problem := _not_shakespeare(content)) is not None:
            raise UsageError(
                f"dataset=shakespeare: {path} {problem}; delete it and run `actbench data fetch shakespeare`, or take "
                "dataset=text for a text of your own"
            )
    elif len(content) > most:
        raise UsageError(f"dataset={name}: {path} has more than {most:,} bytes; take a part of it")
    try:
        return content.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"dataset={name}: {path} is not UTF-8 text (byte {error.object[error.start]:#04x} at {error.start:,}); "
            "convert it"
        ) from error


def with_context(prepared: PreparedData, lengths: tuple[int, int, int], context: int, path: Path) -> PreparedData:
    """The text in windows of `context` characters. lengths: characters of its parts. Raises UsageError if it is short.

    A part of n characters has (n - 1) // context windows that do not overlap and have all their targets.
    """
    for part, length in zip(_PARTS, lengths, strict=True):
        if 0 < length <= context or (not length and part != "test"):
            raise UsageError(
                f"dataset.context={context}: the {part} part of {path} has {length:,} characters, no window with its "
                "targets; take a smaller context or a longer text"
            )
    windows = [max(0, (length - 1) // context) for length in lengths]
    return replace(
        prepared, height=context, train=windows[0] + windows[1], validation=windows[1], test=windows[2], own_test=True
    )
