"""A user's images: ROOT/train/CLASS/* and ROOT/test/CLASS/*, the layout of torchvision's ImageFolder.

ImageFolder skips files that it does not know; here a file that is no image is an error, so that none is lost silently.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from actbench.errors import UsageError

SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # torchvision's IMG_EXTENSIONS
IGNORED = ("Thumbs.db", "desktop.ini")  # files that file managers create, besides hidden ones

_GREY_MODES = ("1", "L")


def image_files(root: Path) -> list[Path]:
    """All image files, sorted by split, class and name. Raises UsageError for any other file or folder."""
    files: list[Path] = []
    for part in ("train", "test"):
        folder = root / part
        if not folder.is_dir():
            raise UsageError(f"dataset=image_folder: {folder} is missing; lay images out as {part}/CLASS/*")
        classes = _classes(folder)
        if not classes:
            raise UsageError(f"dataset=image_folder: {folder} holds no class folder; lay images out as {part}/CLASS/*")
        for name in classes:
            files += _images(folder / name)
    train, test = _classes(root / "train"), _classes(root / "test")
    if train != test:
        odd = sorted(set(train) ^ set(test))[0]
        where = "train" if odd in train else "test"
        raise UsageError(
            f"dataset=image_folder: class {odd} stands in {where}/ only; both splits need the same classes"
        )
    return files


def _classes(folder: Path) -> list[str]:
    names = []
    for name in _visible(folder):
        if not (folder / name).is_dir():
            raise UsageError(f"dataset=image_folder: {folder / name} stands outside a class folder; move or delete it")
        names.append(name)
    return names


def _visible(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if not name.startswith(".") and name not in IGNORED)


def _images(folder: Path) -> list[Path]:
    names = _visible(folder)
    for name in names:
        if not name.lower().endswith(SUFFIXES):
            raise UsageError(
                f"dataset=image_folder: {folder / name} is not an image ({', '.join(SUFFIXES)}); move or delete it"
            )
        if not (folder / name).is_file():  # a folder, a broken link, a pipe
            raise UsageError(f"dataset=image_folder: {str(folder / name)!r} is no file; move or delete it")
    if not names:
        raise UsageError(f"dataset=image_folder: {folder} is empty; add images or delete the class in train/ and test/")
    return [folder / name for name in names]


def read_image_folder(root: Path, size: int | None) -> tuple[Any, int]:
    """((train images, train labels, test images, test labels), classes), resized to size x size. Raises UsageError."""
    names = _classes(root / "train")
    decoded: list[Any] = []
    grey = True
    for part in ("train", "test"):
        paths = [(path, label) for label, name in enumerate(names) for path in _images(root / part / name)]
        with ThreadPoolExecutor() as pool:
            results = list(pool.map(lambda item: _decode(item[0], size), paths, chunksize=256))
        grey = grey and all(is_grey for _, is_grey in results)
        shapes = {image.shape for image, _ in results}
        if len(shapes) > 1 or (decoded and shapes != {decoded[0].shape[1:]}):
            raise UsageError(f"dataset=image_folder: images under {root} differ in size; set dataset.image_size")
        decoded += [np.stack([image for image, _ in results]), np.array([label for _, label in paths], dtype=np.int64)]
    if grey:
        decoded[0], decoded[2] = decoded[0][..., :1], decoded[2][..., :1]
    return tuple(decoded), len(names)


def _decode(path: Path, size: int | None) -> tuple[Any, bool]:
    """(height, width, 3) uint8, and whether the file is greyscale."""
    from PIL import Image

    try:
        with Image.open(path) as opened:
            image: Image.Image = opened
            grey = image.mode in _GREY_MODES or image.mode.startswith("I;16")
            if image.mode.startswith("I;16"):  # PIL would clip 16 bits at 255
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            pixels = image.convert("RGB")
            if size is not None and pixels.size != (size, size):
                pixels = pixels.resize((size, size), Image.Resampling.BILINEAR)
            return np.asarray(pixels), grey
    except Exception as error:  # PIL raises OSError, SyntaxError, ValueError and more on damaged files
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"dataset=image_folder: {path} cannot be read as an image: {reason}") from error
