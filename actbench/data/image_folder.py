"""A user's images: ROOT/train/CLASS/* and ROOT/test/CLASS/*, the layout of torchvision's ImageFolder.

ImageFolder skips files that it does not know; here a file that is no image is an error, so that none is lost silently.
The files are not trusted: each is looked at before it is opened, and its size before its pixels are decoded.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from actbench.errors import UsageError, printable

SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # torchvision's IMG_EXTENSIONS
_MOST_NAMED = 5  # hidden folders in the line that names them
IGNORED = ("Thumbs.db", "desktop.ini")  # files that file managers create, besides hidden ones

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # Pillow would also run Ghostscript on an EPS file
_GREY_MODES = ("1", "L")
_PIXEL_BYTES = 16  # of a file, for each pixel: four channels of 32 bits without compression


def image_files(root: Path) -> list[Path]:
    """All image files, sorted by split, class and name. Raises UsageError for any other file or folder."""
    files: list[Path] = []
    hidden: list[Path] = []
    for part in ("train", "test"):
        folder = root / part
        if not folder.is_dir():
            raise UsageError(f"dataset=image_folder: {folder} is missing; lay images out as {part}/CLASS/*")
        classes = _classes(folder)
        if not classes:
            raise UsageError(f"dataset=image_folder: {folder} holds no class folder; lay images out as {part}/CLASS/*")
        for name in classes:
            files += _images(folder / name)
        hidden += [
            folder / name for name in sorted(os.listdir(folder)) if _is_hidden(name) and (folder / name).is_dir()
        ]
    train, test = _classes(root / "train"), _classes(root / "test")
    if train != test:
        odd = sorted(set(train) ^ set(test))[0]
        where = "train" if odd in train else "test"
        raise UsageError(
            f"dataset=image_folder: class {odd} stands in {where}/ only; both splits need the same classes"
        )
    if hidden:
        names = printable(", ".join(map(str, hidden[:_MOST_NAMED]))) + ", ..." * (len(hidden) > _MOST_NAMED)
        print(f"dataset=image_folder: hidden folders are no classes and are skipped: {names}", file=sys.stderr)
    return files


def _classes(folder: Path) -> list[str]:
    names = []
    for name in _visible(folder):
        path = folder / name
        if not path.is_dir():
            problem = (
                "is a link that leads nowhere" if path.is_symlink() and not path.exists() else "is no class folder"
            )
            raise UsageError(f"dataset=image_folder: {path} {problem}; move or delete it")
        names.append(name)
    return names


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in IGNORED


def _visible(folder: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not _is_hidden(name))
    except OSError as error:
        raise UsageError(f"dataset=image_folder: {folder} cannot be read: {error.strerror}") from error


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


def read_image_folder(root: Path, size: int | None, max_pixels: int | None) -> tuple[Any, int]:
    """((train images, train labels, test images, test labels), classes), resized to size x size.

    Of an animation or a file of several pages the first is taken, as ImageFolder does. Raises UsageError for a file
    that is no image or has more pixels than max_pixels (None: any number).
    """
    names = _classes(root / "train")
    decoded: list[Any] = []
    grey = True
    for part in ("train", "test"):
        paths = [(path, label) for label, name in enumerate(names) for path in _images(root / part / name)]
        with _own_bound_of_pixels(), ThreadPoolExecutor() as pool:
            results = list(pool.map(lambda item: _decode(item[0], size, max_pixels), paths, chunksize=256))
        grey = grey and all(is_grey for _, is_grey in results)
        shapes = {image.shape for image, _ in results}
        if len(shapes) > 1 or (decoded and shapes != {decoded[0].shape[1:]}):
            raise UsageError(f"dataset=image_folder: images under {root} differ in size; set dataset.image_size")
        decoded += [np.stack([image for image, _ in results]), np.array([label for _, label in paths], dtype=np.int64)]
    if grey:
        decoded[0], decoded[2] = decoded[0][..., :1], decoded[2][..., :1]
    return tuple(decoded), len(names)


@contextlib.contextmanager
def _own_bound_of_pixels() -> Iterator[None]:
    """Pillow's own bound would warn below dataset.max_pixels, or refuse what that allows."""
    from PIL import Image

    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _decode(path: Path, size: int | None, max_pixels: int | None) -> tuple[Any, bool]:
    """(height, width, 3) uint8, and whether the file is greyscale."""
    from PIL import Image

    try:
        most = None if max_pixels is None else _PIXEL_BYTES * max_pixels + 2**20  # Pillow reads some formats as a whole
        if most is not None and path.stat().st_size > most:
            raise UsageError(_too_large(path, f"{path.stat().st_size:,} bytes", max_pixels))
        with Image.open(path, formats=_FORMATS) as opened:  # reads the header alone
            if max_pixels is not None and opened.width * opened.height > max_pixels:
                raise UsageError(_too_large(path, f"{opened.width:,} x {opened.height:,} pixels", max_pixels))
            image, grey = _of_8_bits(opened)
            pixels = image.convert("RGB")
            if size is not None and pixels.size != (size, size):
                pixels = pixels.resize((size, size), Image.Resampling.BILINEAR)
            return np.asarray(pixels), grey
    except UsageError:
        raise
    except Exception as error:  # PIL raises OSError, SyntaxError, ValueError and more on damaged files
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"dataset=image_folder: {path} cannot be read as an image: {reason}") from error


def _too_large(path: Path, size: str, max_pixels: int | None) -> str:
    return (
        f"dataset=image_folder: {path} has {size}, too many for dataset.max_pixels={max_pixels}; shrink or delete it, "
        "or raise that"
    )


def _of_8_bits(image: Any) -> tuple[Any, bool]:
    """An image of at most 8 bits a channel, and whether it is greyscale. Raises ValueError for 32 bits."""
    from PIL import Image

    grey = image.mode in _GREY_MODES
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        # Pillow would clip 16 bits at 255.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)), True
    if image.mode in ("I", "F"):
        raise ValueError("its values have 32 bits and no fixed range; save it with 8 or 16 bits")
    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA"), grey  # the same colours, without a warning
    return image, grey
