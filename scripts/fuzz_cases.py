"""Draws the cases of scripts/fuzz.py: commands with wrong words, and commands on damaged files."""

import io
import json
import math
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

TINY = ("architecture=mlp_small", "training.steps=1", "training.measure_every=0", "execution.workers=1")
LOAD = "load-weights"  # the first word of a case that calls actbench's reader of weights instead of a command

_PIECES = (
    "", "\n", "\t", "\x1b[31m", "\udcff", "=", ",", "'", '"', "{", "}", "[", "]", "(", ")", "$", "${", "${seed}",
    "${oc.env:HOME}", "\\", "..", "/", "~", "+", "++", "@", ":", "é", "𝔘", "0", "-", "-1", "1e999", "nan", "inf",
    "null", "true", "???", "*", "k" * 5000, "9" * 50, "range(0,1e9)", "range(0,nan)", "glob(*)",
    "choice(1,2)", "sort(3,1)",
)  # fmt: skip
_OVERRIDES = (
    "seed=0", "seed=range(0,2)", "activation=relu", "activation=glob(g*)", "activation=torch:tensor",
    "activation=os:getcwd", "activation.slope=0.1", "architecture=cnn_small", "architecture=transformer_small",
    "architecture.width=8",
    "architecture.depth=1000", "architecture.patch=3", "architecture.norm=batch", "optimizer=sgd", "optimizer.lr=0.1",
    "optimizer.lr=1e-400", "training.batch_size=1", "training.batch_size=1000000", "training.epochs=1",
    "training.dropout=0.5", "training.target=1", "training.probe_size=1", "training.precision=tf32",
    "initialization=orthogonal", "architecture=gru_small", "architecture=decoder_small", "architecture.gate=x",
    "dataset=adding", "dataset=diabetes", "dataset=text", "dataset=table", "dataset.label=y",
    "dataset=image_folder", "dataset.root=nowhere", "dataset.validation=0.999",
    "protocol.baseline=gelu", "protocol.learning_rates=[0.1]", "store.uri=sqlite:///other/x.db",
    "store.uri=nosuch://x", "store.save_weights=all", "hydra.run.dir=x", "+a=1", "~seed", "=1", "--config-dir", "own",
    "--cfg", "job", "--pairs", "--dry-run", "-m", "--info", "--resolve", "-sc", "--package", "--help", "--version",
)  # fmt: skip
# What would train for minutes, serve or download ends before that: `--cfg job`, a port that is none, `check`.
_COMMANDS = (
    ("train", *TINY), ("train", "--cfg", "job", *TINY), ("sweep", "--cfg", "job", *TINY), ("compare", "--cfg", "job"),
    ("compare", "nosuch"), ("report", "quickstart"), ("report", "quickstart", "--format", "md"),
    ("activations",), ("activations", "gelu"), ("activations", "--plot", "a.png", "relu"), ("ui", "--port", "0"),
    ("cost", "seed=1,2", "activation=relu"), ("data", "check", "digits"), ("train", "-sc", "query=bash"), (),
)  # fmt: skip
_YAML = (
    "&a ", "*a", "[", "]", "{", "}", ": ", "- ", "? ", "|\n", ">", "\t", "#", "---\n", "...\n", "%YAML 9\n",
    "!!binary ", "!!python/object/apply:os.mkdir [sprung] ", "<<: ", "${seed}", "'", '"', "\x00", "null", "1e999",
    "[" * 2000, "\n",
)  # fmt: skip
_QUESTION = """question: Is GELU better?
source: null
overrides: [activation=relu, architecture=mlp_small]
full: [training.epochs=2]
hypotheses:
  - {claim: It is higher, metric: test_accuracy, a: relu, b: 0.5, direction: higher, where: {architecture: mlp}}
"""


@dataclass(frozen=True)
class Case:
    """words: of the command line. files: content by path in the case's folder; None for a folder."""

    words: tuple[str, ...]
    files: Mapping[str, bytes | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Samples:
    """Whole files that cases damage: an empty store and the weights of a run."""

    database: bytes
    weights: bytes


def lines(draw: random.Random, samples: Samples) -> Case:
    """A command line with wrong, doubled, swapped and damaged words."""
    words = [*draw.choice(_COMMANDS), *draw.sample(_OVERRIDES, draw.randint(0, 3))]
    for _ in range(draw.randint(0, 3)):
        place = draw.randrange(len(words) + 1)
        if place == len(words):
            words.append(draw.choice(_PIECES))
        else:
            words[place] = _damaged_text(draw, words[place], _PIECES)
    plain = words[:1] in (["compare"], ["sweep"]) and "--cfg" not in words
    serves = words[:1] in (["ui"], ["cost"]) or words[:2] == ["data", "fetch"]
    if plain or (serves and not {"0", "seed=1,2"} & set(words)):  # a damaged word has made it a real one
        words = ["train", *words[1:]]
    if words[:1] == ["train"]:
        words += TINY
    return Case(tuple(word.replace("\0", "") for word in words), {"own/architecture/mine.yaml": b"name: mlp\n"})


def experiments(draw: random.Random, samples: Samples) -> Case:
    """A damaged file of an experiment, or of a folder of settings."""
    if draw.random() < 0.5:
        content = _damaged_yaml(draw, _QUESTION)
        return Case((draw.choice(["compare", "sweep"]), "--cfg", "job", "./mine.yaml"), {"mine.yaml": content})
    content = _damaged_yaml(draw, "defaults: [mlp]\nname: mlp\ndepth: 1\nwidth: 8\nnorm: none\n")
    words = ("train", "--cfg", "job", "architecture=mine", "--config-dir", "own")
    return Case(words, {"own/architecture/mine.yaml": content})


def idx_files(draw: random.Random, samples: Samples) -> Case:
    """Damaged idx files of Fashion-MNIST, of which the sums are not known."""
    shapes = ((600, 28, 28), (600,), (100, 28, 28), (100,))
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    files: dict[str, bytes | None] = {}
    for name, shape in zip(names, shapes, strict=True):
        header = bytes([0, 0, 8, len(shape)]) + b"".join((100 * n).to_bytes(4, "big") for n in shape[:1])
        header += b"".join(n.to_bytes(4, "big") for n in shape[1:])
        size = 100 * int(np.prod(shape)) if draw.random() < 0.5 else draw.randint(0, 10**5)
        if draw.random() < 0.9:
            content = header + bytes(size)
            files[f"data/FashionMNIST/raw/{name}"] = _damaged(draw, content) if draw.random() < 0.5 else content
        elif draw.random() < 0.5:
            files[f"data/FashionMNIST/raw/{name}"] = None
    return Case(("data", "check", "fashion_mnist", "dataset.root=data"), files)


def images(draw: random.Random, samples: Samples) -> Case:
    """A folder of images with damaged images, odd names and missing parts."""
    files: dict[str, bytes | None] = {}
    for part in ("train", "test"):
        for name in ("cat", "dog", "\udcff", "a b")[: draw.choice([1, 2, 2, 2, 4])]:
            for place in range(draw.randint(0, 2) or 1):
                format, suffix = draw.choice([("PNG", "png"), ("JPEG", "jpg"), ("BMP", "bmp"), ("GIF", "png")])
                mode, size, buffer = draw.choice(["L", "RGB", "RGB"]), (draw.choice([8, 9, 16]), 8), io.BytesIO()
                Image.frombytes(mode, size, draw.randbytes(math.prod(size) * len(mode))).save(buffer, format)
                content = buffer.getvalue()
                damaged = _damaged(draw, content) if draw.random() < 0.4 else content
                files[f"data/{part}/{name}/{place}.{suffix}"] = damaged
    if draw.random() < 0.2:
        files[f"data/{draw.choice(['train', 'test', 'train/cat'])}/{draw.choice(['x.txt', 'odd'])}"] = b"text"
    if draw.random() < 0.2:
        files["data/train/empty"] = None
    resized = draw.choice([[], ["dataset.image_size=8"], ["dataset.image_size=32"]])
    return Case(("data", "check", "image_folder", "dataset.root=data", *resized), files)


def tables(draw: random.Random, samples: Samples) -> Case:
    """A damaged CSV or Parquet file, or one with odd cells, and words that do not suit it."""
    cells = ("1", "2.5", "", "nan", "x", "x, y", '"', "1e999", "-0", "é", "true", "2026-11-30", "9" * 400, "\n", "=1+1")
    rows = [["a", "b", draw.choice(["y", "y", "a", ""])]]
    rows += [
        [draw.choice(cells), str(draw.randint(0, 9)), draw.choice("012")] for _ in range(draw.choice([0, 1, 5, 60]))
    ]
    content = "\n".join(",".join(row) for row in rows).encode() + b"\n" * draw.randint(0, 2)
    if draw.random() < 0.5:
        content = _damaged(draw, content)
    name = draw.choice(["mine.csv", "mine.csv", "mine.parquet", "mine.txt"])
    keys = (
        "dataset.kind=regression", "dataset.kind=classification", "dataset.group=a", "dataset.split=b",
        "dataset.missing=error", "dataset.group=nosuch", "dataset.label=a",
    )  # fmt: skip
    more = draw.sample(keys, draw.randint(0, 2))
    return Case(("data", "check", "table", f"dataset.root={name}", "dataset.label=y", *more), {name: content})


def texts(draw: random.Random, samples: Samples) -> Case:
    """A text with damaged bytes, of few characters or of very many different ones."""
    letters = draw.choice(["a", "ab", "the quick brown fox\n", "".join(map(chr, range(0x4E00, 0x5E00)))])
    content = "".join(draw.choices(letters, k=draw.choice([0, 1, 50, 5000]))).encode()
    if draw.random() < 0.5:
        content = _damaged(draw, content)
    context = draw.choice(["2", "8", "64", "4096", "0", "x"])
    return Case(("data", "check", "text", "dataset.root=mine.txt", f"dataset.context={context}"), {"mine.txt": content})


def journals(draw: random.Random, samples: Samples) -> Case:
    """A damaged journal beside an empty store, which the next command writes into it."""
    tags = {"kind": "run", "uid": "a" * 32, "run_id_hash": "0123456789ab", "phase": "train", "status": "finished"}
    entry = {
        "uid": "a" * 32, "name": "relu", "tags": tags, "parent": "b" * 32, "status": "FINISHED",
        "params": {"seed": "0"}, "points": [["val_loss", 0.5, 1, 1]], "dataset": {},
        "files": [["files/" + "a" * 32, None]], "started": 1,
    }  # fmt: skip
    parent = entry | {"uid": "b" * 32, "tags": {"kind": "train", "uid": "b" * 32}, "parent": None, "files": []}
    head = {"uri": "sqlite:///mlflow.db", "experiment": "train"}
    rows = [head, {"above": json.dumps(parent)}, {"entry": json.dumps(entry)}]
    text = "\n".join(json.dumps(row) for row in rows) + "\n"
    pieces = ("../", "/etc", "null", "[]", "{}", "\\u0000", "1e999", "nan", '"', "\n", "uid", "9" * 400, "é", "")
    for _ in range(draw.randint(0, 4)):
        text = _damaged_text(draw, text, pieces)
    content = text.encode(errors="replace")
    if draw.random() < 0.3:
        content = _damaged(draw, content)
    folder = "results/.journal/1"
    files = {
        f"{folder}/entries.jsonl": content,
        f"{folder}/files/{'a' * 32}/x.txt": b"x",
        "mlflow.db": samples.database,
    }
    return Case(("report", "quickstart") if draw.random() < 0.7 else ("train", *TINY), files)


def weights(draw: random.Random, samples: Samples) -> Case:
    """A damaged file of weights."""
    content = samples.weights
    if draw.random() < 0.5:  # within the head, which is JSON
        size = int.from_bytes(content[:8], "little")
        head = content[8 : 8 + size].decode()
        for _ in range(draw.randint(1, 3)):
            head = _damaged_text(draw, head, ("null", "[]", "{}", "-1", "9" * 30, '\\"', "relu", "x", "", "os:getcwd"))
        encoded = head.encode()
        return Case((LOAD,), {"mine.safetensors": len(encoded).to_bytes(8, "little") + encoded + content[8 + size :]})
    return Case((LOAD,), {"mine.safetensors": _damaged(draw, content)})


def stores(draw: random.Random, samples: Samples) -> Case:
    """A store that is no database, or a damaged one."""
    kind = draw.randrange(4)
    content = _damaged(draw, samples.database) if kind else draw.randbytes(draw.randint(1, 9000))
    files = {"mlflow.db": None if kind == 3 and draw.random() < 0.3 else content}
    words = draw.choice([("report", "quickstart"), ("train", *TINY), ("ui", "--port", "0")])
    return Case(words, files)


KINDS: Mapping[str, Callable[[random.Random, Samples], Case]] = {
    "command lines": lines, "experiment files": experiments, "idx files": idx_files, "images": images,
    "tables": tables, "texts": texts, "journals": journals, "weights": weights, "stores": stores,
}  # fmt: skip


def _damaged_text(draw: random.Random, text: str, pieces: tuple[str, ...]) -> str:
    """The text with one piece inserted, put in place of a part, or with a part removed or doubled."""
    start = draw.randint(0, len(text))
    end = min(len(text), start + draw.choice([0, 1, 1, 2, 5, 20, 200]))
    middle = draw.choice([draw.choice(pieces), draw.choice(pieces), "", text[start:end] * 2])
    return text[:start] + middle + text[end:]


def _damaged_yaml(draw: random.Random, text: str) -> bytes:
    for _ in range(draw.randint(1, 4)):
        text = _damaged_text(draw, text, _YAML)
    content = text.encode(errors="replace")
    return _damaged(draw, content) if draw.random() < 0.2 else content


def _damaged(draw: random.Random, content: bytes) -> bytes:
    """The content cut short, empty, or with some bytes changed, inserted or removed."""
    choice = draw.randrange(5)
    if choice == 0:
        return content[: draw.randint(0, len(content))]
    if choice == 1:
        return content + draw.randbytes(draw.randint(1, 100))
    changed = bytearray(content)
    for _ in range(draw.choice([1, 1, 3, 20])):
        if changed:
            place = draw.randrange(min(len(changed), draw.choice([64, 4096, len(changed)])))
            changed[place : place + draw.choice([1, 1, 4])] = draw.randbytes(draw.choice([1, 1, 0, 4]))
    return bytes(changed) if draw.random() < 0.95 else b""


def path_of(name: str) -> bytes:
    """A path of a case as bytes; lone surrogates stand for bytes that are no UTF-8."""
    return os.fsencode(name)
