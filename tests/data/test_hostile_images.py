"""A user's folder of images is not trusted: what it may hold is one line of text, or an image as it was meant."""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from actbench.cli.main import main
from actbench.data.datasets import prepare_data
from actbench.errors import UsageError
from tests.data.test_datasets import image_tree
from tests.support import load_images

FIRST = "train/ants/0.png"
MOST = 10_000  # pixels


def prepare(root: Path) -> object:
    return prepare_data("image_folder", str(root), False, 16, MOST)


def png(width: int, height: int) -> bytes:
    """The beginning of a PNG of that size, with no pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + chunk + struct.pack(">I", zlib.crc32(chunk)) + b"\0\0\0\0IDAT"


def fill(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def sparse(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


def link(path: Path, to: str) -> None:
    path.unlink()
    path.symlink_to(to)


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def animation(path: Path, color: str) -> None:
    pictures = [Image.new("RGB", (9, 9), name) for name in (color, "white", "black")]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: fill(file, png(101, 100)), "has 101 x 100 pixels, too many for dataset.max_pixels=10000"),
        (lambda file: fill(file, png(60_000, 60_000)), "has 60,000 x 60,000 pixels, too many"),
        (lambda file: fill(file, png(100, 100)), "cannot be read as an image"),
        (lambda file: sparse(file, 10**11), "has 100,000,000,000 bytes, too many"),
        (lambda file: fill(file, b""), "cannot be read as an image: cannot identify"),
        (lambda file: fill(file, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), "cannot identify"),
        (lambda file: Image.new("F", (9, 9)).save(file, "TIFF"), "its values have 32 bits and no fixed range"),
        (lambda file: link(file, "/dev/zero"), "is no file"),
        (lambda file: link(file, "0.png"), "is no file"),
        (lambda file: link(file, "/etc/passwd"), "cannot be read as an image"),
        (fifo, "is no file"),
        (lambda file: (file.parent / "of ants").symlink_to(".."), "of ants is not an image"),
        (lambda file: (file.parent.parent / "loop").symlink_to("loop"), "loop is a link that leads nowhere"),
        (lambda file: (file.parent.parent / "self").symlink_to("."), "self/ants is not an image"),
        (lambda file: os.mkfifo(file.parent.parent / "pipe"), "pipe is no class folder"),
        (lambda file: file.rename(file.parent / "a\nb\x1b[2J.txt"), "a b\\x1b[2J.txt is not an image"),
        (lambda file: os.rename(file, os.fsencode(file.parent) + b"/\xff.txt"), "\\udcff.txt is not an image"),
    ],
)  # fmt: skip
def test_what_is_no_usable_image_costs_one_line(
    change: Callable[[Path], object], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(image_tree(tmp_path) / FIRST)
    words = [f"dataset.root={tmp_path}", f"dataset.max_pixels={MOST}"]
    assert main(["data", "check", "image_folder", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert line.startswith("actbench: error: dataset=image_folder: ")


def test_pixels_beyond_the_bound_are_never_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image_tree(tmp_path)
    Image.new("L", (200, 200)).save(tmp_path / FIRST)

    def decode(self: Image.Image) -> None:
        assert self.size != (200, 200)
        load(self)

    load = Image.Image.load
    monkeypatch.setattr(Image.Image, "load", decode)
    with pytest.raises(UsageError, match="200 x 200 pixels"):
        prepare(tmp_path)


def test_the_bound_is_outside_the_run_id_and_can_be_lifted(tmp_path: Path) -> None:
    image_tree(tmp_path)
    Image.new("RGB", (101, 100)).save(tmp_path / FIRST)
    before = Image.MAX_IMAGE_PIXELS
    assert prepare_data("image_folder", str(tmp_path), False, 16, None).train == 12
    assert before == Image.MAX_IMAGE_PIXELS


def test_a_class_folder_that_is_skipped_is_named_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image_tree(tmp_path)
    (tmp_path / "train" / ".wasps\n").mkdir()
    (tmp_path / "test" / "Thumbs.db").mkdir()
    prepare(tmp_path)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("dataset=image_folder: hidden folders are no classes and are skipped: ")
    assert "train/.wasps" in line
    assert "test/Thumbs.db" in line


@pytest.mark.parametrize(
    ("save", "channels", "value"),
    [
        (lambda path: Image.fromarray(np.full((9, 9), 0x4321, np.uint16)).save(path, "PNG"), 1, [0x43]),
        (lambda path: Image.fromarray(np.full((9, 9), 0x4321, np.uint16)).save(path, "PPM"), 1, [0x43]),
        (lambda path: Image.fromarray(np.full((9, 9), 0x4321, np.uint16)).save(path, "TIFF"), 1, [0x43]),
        (lambda path: Image.new("1", (9, 9), 1).save(path, "PNG"), 1, [255]),
        (lambda path: Image.new("CMYK", (9, 9), (0, 255, 255, 0)).save(path, "TIFF"), 3, [255, 0, 0]),
        (lambda path: Image.new("RGB", (9, 9), "red").quantize().save(path, "PNG", transparency=b"\1"), 3, [255, 0, 0]),
        (lambda path: Image.new("RGBA", (9, 9), (255, 0, 0, 9)).save(path, "PNG"), 3, [255, 0, 0]),
        (lambda path: animation(path.with_suffix(".webp"), "red"), 3, [254, 0, 0]),
        (lambda path: animation(path.with_suffix(".tif"), "red"), 3, [255, 0, 0]),
        (lambda path: Image.new("RGB", (9, 9), "red").save(path, "GIF"), 3, [255, 0, 0]),
    ],
)  # fmt: skip
def test_images_of_any_mode_are_read_as_they_were_meant(
    save: Callable[[Path], object], channels: int, value: list[int], tmp_path: Path
) -> None:
    for part in ("train", "test"):
        for name in ("ants", "bees"):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(2):
                save(tmp_path / part / name / f"{number}.png")
    prepared = prepare_data("image_folder", str(tmp_path), False, None, MOST)
    image = load_images(prepared).train_images[0].numpy()
    assert (prepared.channels, image.shape) == (channels, (9, 9, channels))
    assert np.abs(image[0, 0].astype(int) - value).max() <= 1  # WebP is lossy
