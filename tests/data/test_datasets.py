"""Every source becomes the same arrays, and every damaged file is named."""

import gzip
import hashlib
import os
import pickle
import shutil
import tarfile
import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from sklearn.datasets import load_digits

from actbench.data import torchvision as sources
from actbench.data.datasets import SOURCES, Place, PreparedData, load_data, prepare_data
from actbench.data.torchvision import TORCHVISION_NAMES
from actbench.errors import UsageError
from tests.support import actbench, load_images

IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
META = (  # of a kind that does not exist
    b'{"name": "digits", "fingerprint": "", "height": 8, "width": 8, "channels": 1, "classes": 10, "train": 1438, '
    b'"test": 359, "kind": "sounds"}'
)
SHAPES = ((300, 28, 28), (300,), (60, 28, 28), (60,))


def idx_files(seed: int = 0) -> dict[str, bytes]:
    """Four small idx files in MNIST's format."""
    generator = np.random.default_rng(seed)
    files = {}
    for name, shape in zip(IDX_FILES, SHAPES, strict=True):
        values = generator.integers(0, 256 if len(shape) == 3 else 10, shape, dtype=np.uint8)
        header = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
        files[name] = header + values.tobytes()
    return files


@pytest.fixture
def small_mnist(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """MNIST shrunk to 300 + 60 images: the checks and torchvision's reader are the real ones."""
    files = idx_files()
    monkeypatch.setattr(sources, "IDX_SHAPES", SHAPES)
    sums = tuple(hashlib.md5(content).hexdigest() for content in files.values())
    monkeypatch.setattr(sources, "IDX_MD5", {"mnist": sums})
    return files


def lay_out(root: Path, files: dict[str, bytes], name: str = "MNIST") -> Path:
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    for file, content in files.items():
        (raw / file).write_bytes(content)
    return raw


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A local HTTP server over a folder."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}/", folder
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def test_digits_are_scikit_learns_and_have_no_test_set_of_their_own(digits: PreparedData) -> None:
    data = load_images(digits)
    assert (digits.train, digits.test, digits.classes) == (1438, 359, 10)
    assert not digits.own_test  # scikit-learn names no test set: all images are drawn from
    assert data.train_images.shape == (1797, 8, 8, 1)
    assert (len(data.test_labels), data.drawn_test) == (0, 359)
    whole = {(image.tobytes(), label) for image, label in zip(
        np.round(load_digits().images * 255 / 16).astype(np.uint8), load_digits().target, strict=True)}  # fmt: skip
    ours = {(image.numpy().tobytes(), int(label)) for image, label in zip(
        data.train_images, data.train_labels, strict=True)}  # fmt: skip
    assert ours == whole


def test_second_preparation_reads_only_the_cache(digits: PreparedData, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(place: Place) -> NoReturn:
        raise AssertionError("the images were read again")

    monkeypatch.setitem(SOURCES, "digits", replace(SOURCES["digits"], read=refuse))
    assert prepare_data("digits", None, False, None) == digits


def test_images_are_resized(own_cache: Path) -> None:
    prepared = prepare_data("digits", None, False, 12)
    assert (prepared.height, prepared.width) == (12, 12)
    assert load_images(prepared).train_images.shape == (1797, 12, 12, 1)


def test_damaged_cache_is_named(tmp_path: Path, digits: PreparedData) -> None:
    with pytest.raises(UsageError, match="damaged"):
        load_data(PreparedData(**{**vars(digits), "folder": str(tmp_path)}))


def flip_a_pixel(folder: str) -> None:
    """Changes one bit of the training images; keeps the file's size and time."""
    path = Path(folder) / "train_images.npy"
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_cache_with_a_changed_pixel_is_reported_and_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    prepared = prepare_data("digits", None, False, None)
    images = load_images(prepared).train_images.clone()
    assert capsys.readouterr().err == ""
    flip_a_pixel(prepared.folder)
    assert prepare_data("digits", None, False, None) == prepared
    (line,) = capsys.readouterr().err.splitlines()
    assert prepared.folder in line
    assert "is damaged" in line
    assert "built again from the source" in line
    assert torch.equal(load_images(prepared).train_images, images)


def test_data_check_does_not_certify_a_changed_pixel(
    tmp_path: Path, digits: PreparedData, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(digits.folder, copied := tmp_path / "actbench" / "arrays" / Path(digits.folder).name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    flip_a_pixel(str(copied))
    assert actbench("data", "check", "digits") == 0
    assert "the checksum of its arrays differs" in capsys.readouterr().err
    assert (copied / "train_images.npy").read_bytes() == (Path(digits.folder) / "train_images.npy").read_bytes()


def test_no_process_trains_on_arrays_that_changed_after_they_were_checked(tmp_path: Path, digits: PreparedData) -> None:
    copied = replace(digits, folder=str(shutil.copytree(digits.folder, tmp_path / "copied")))
    load_data(copied)
    flip_a_pixel(copied.folder)
    with pytest.raises(UsageError, match="the checksum of its arrays differs"):
        load_data(copied)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("meta.json", b""),
        ("meta.json", b"[]"),
        ("meta.json", b"\xff"),
        ("meta.json", b'{"name": 1}'),
        ("meta.json", META),
        ("test_labels.npy", b""),
        ("test_labels.npy", b"PK\x03\x04"),
        ("test_labels.npy", b"\x93NUMPY\x01\x00\x04\x00{[(\n"),
    ],
)
def test_a_cache_of_any_content_is_built_again(
    file: str, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    prepared = prepare_data("digits", None, False, None)
    (Path(prepared.folder) / file).write_bytes(content)
    assert prepare_data("digits", None, False, None) == prepared
    assert capsys.readouterr().err.count("\n") == 1
    load_data(prepared)


def test_mnist_is_read_bit_exact(tmp_path: Path, small_mnist: dict[str, bytes]) -> None:
    lay_out(tmp_path, small_mnist)
    prepared = prepare_data("mnist", str(tmp_path), False, None)
    assert prepared.own_test
    data = load_images(prepared)
    assert data.train_images.numpy().tobytes() == small_mnist["train-images-idx3-ubyte"][16:]
    assert bytes(data.test_labels.tolist()) == small_mnist["t10k-labels-idx1-ubyte"][8:]


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("train-images-idx3-ubyte", lambda content: content[:1000], "is truncated: 1000 of 235216 bytes"),
        ("t10k-labels-idx1-ubyte", lambda content: b"", "is truncated: 0 of 68 bytes"),
        ("train-labels-idx1-ubyte", lambda content: content + b"x", "is not the idx file it should be"),
        ("t10k-images-idx3-ubyte", lambda content: b"<html>" + content[6:], "is not the idx file it should be"),
        ("train-images-idx3-ubyte", lambda content: content[:-1] + bytes([content[-1] ^ 1]), "is corrupt"),
    ],
)
def test_damaged_idx_files_are_named(
    file: str, damage: object, message: str, tmp_path: Path, small_mnist: dict[str, bytes]
) -> None:
    raw = lay_out(tmp_path, small_mnist)
    (raw / file).write_bytes(damage(small_mnist[file]))  # type: ignore[operator]
    with pytest.raises(UsageError) as caught:
        prepare_data("mnist", str(tmp_path), False, None)
    assert message in str(caught.value)
    assert str(raw / file) in str(caught.value)
    assert "data fetch mnist" in str(caught.value)


def test_an_idx_file_of_any_size_and_header_is_refused_before_it_is_in_memory(
    tmp_path: Path, small_mnist: dict[str, bytes]
) -> None:
    file = lay_out(tmp_path, small_mnist) / "train-images-idx3-ubyte"
    file.write_bytes(bytes([0, 0, 8, 3]) + 3 * (10**4).to_bytes(4, "big"))  # 10^12 items
    with file.open("r+b") as sparse:
        sparse.truncate(10**12)
    tracemalloc.start()
    with pytest.raises(UsageError, match="is not the idx file it should be"):
        prepare_data("mnist", str(tmp_path), False, None)
    assert tracemalloc.get_traced_memory()[1] < 10**8
    tracemalloc.stop()


def test_files_of_torch_save_beside_mnist_are_never_loaded(tmp_path: Path, small_mnist: dict[str, bytes]) -> None:
    raw = lay_out(tmp_path, small_mnist)
    processed = raw.parent / "processed"
    processed.mkdir()
    for file in ("training.pt", "test.pt"):  # torchvision would prefer them
        torch.save((torch.zeros(3, 28, 28, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64)), processed / file)
    assert prepare_data("mnist", str(tmp_path), False, None).train == 300


def test_a_batch_as_python_2_has_published_it_is_read() -> None:
    pixels = bytes(range(256)) * 24
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR(K\x01(K\x02M\x00\x0ct"
    array += dtype + b"\x89T" + len(pixels).to_bytes(4, "little") + pixels + b"tb"
    batch = sources._batch("cifar10", Path(), b"\x80\x02}(U\x04data" + array + b"U\x06labels](K\x03K\x07eu.")
    assert batch["labels"] == [3, 7]
    assert (batch["data"].shape, batch["data"].tobytes()) == ((2, 3072), pixels)


def test_a_batch_of_cifar_that_names_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Prints:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("executed",)

    cls = torchvision.datasets.CIFAR10
    content = pickle.dumps({"data": Prints()})
    for files in (cls.train_list, cls.test_list, [[cls.meta["filename"]]]):
        for file, *_ in files:
            (tmp_path / cls.base_folder).mkdir(exist_ok=True)
            (tmp_path / cls.base_folder / file).write_bytes(content)
    md5 = hashlib.md5(content).hexdigest()
    for key in ("train_list", "test_list"):
        monkeypatch.setattr(cls, key, [[file, md5] for file, _ in getattr(cls, key)])
    monkeypatch.setattr(cls, "meta", {**cls.meta, "md5": md5})
    with pytest.raises(UsageError, match=r"data_batch_1 is no batch of images: builtins.print is no part of one"):
        prepare_data("cifar10", str(tmp_path), False, None)
    assert "executed" not in capsys.readouterr().out


def test_missing_files_without_a_download_are_named(tmp_path: Path) -> None:
    for name in TORCHVISION_NAMES:
        with pytest.raises(UsageError, match=f"dataset={name}: .* is missing; run `actbench data fetch {name}`"):
            prepare_data(name, str(tmp_path), False, None)


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("mnist", torchvision.datasets.MNIST),
        ("fashion_mnist", torchvision.datasets.FashionMNIST),
        ("kmnist", torchvision.datasets.KMNIST),
    ],
)
def test_idx_data_sets_are_downloaded_by_torchvision(
    name: str,
    cls: Any,
    tmp_path: Path,
    small_mnist: dict[str, bytes],
    server: tuple[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, folder = server
    resources = []
    for file, content in small_mnist.items():
        archive = gzip.compress(content)
        (folder / f"{file}.gz").write_bytes(archive)
        resources.append((f"{file}.gz", hashlib.md5(archive).hexdigest()))
    monkeypatch.setattr(cls, "mirrors", [url])
    monkeypatch.setattr(cls, "resources", resources)
    prepared = prepare_data(name, str(tmp_path / "root"), True, None)
    assert (prepared.train, prepared.test) == (300, 60)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(b"not an archive")
    with pytest.raises(UsageError, match="download failed"):
        prepare_data(name, str(tmp_path / "other"), True, None)


@pytest.mark.parametrize(
    ("name", "cls"), [("cifar10", torchvision.datasets.CIFAR10), ("cifar100", torchvision.datasets.CIFAR100)]
)
def test_cifar_is_downloaded_and_every_file_checked(
    name: str, cls: Any, tmp_path: Path, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = server
    base = cls.base_folder
    generator = np.random.default_rng(0)
    source = tmp_path / base
    source.mkdir()
    sums = {}
    for file in [*(file for file, _ in cls.train_list + cls.test_list), cls.meta["filename"]]:
        key, classes = ("labels", 10) if name == "cifar10" else ("fine_labels", 100)
        content: dict[str, object] = {
            "data": generator.integers(0, 256, (20, 3072), dtype=np.uint8),
            key: generator.integers(0, classes, 20).tolist(),
        }  # fmt: skip
        if "meta" in file:
            content = {cls.meta["key"]: [str(i) for i in range(classes)]}
        (source / file).write_bytes(pickle.dumps(content))
        sums[file] = hashlib.md5((source / file).read_bytes()).hexdigest()
    archive = folder / "cifar.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source, base)
    monkeypatch.setattr(cls, "url", url + "cifar.tar.gz")
    monkeypatch.setattr(cls, "filename", "cifar.tar.gz")
    monkeypatch.setattr(cls, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    monkeypatch.setattr(cls, "train_list", [[file, sums[file]] for file, _ in cls.train_list])
    monkeypatch.setattr(cls, "test_list", [[file, sums[file]] for file, _ in cls.test_list])
    monkeypatch.setattr(cls, "meta", {**cls.meta, "md5": sums[cls.meta["filename"]]})
    root = tmp_path / "root"
    prepared = prepare_data(name, str(root), True, None)
    assert (prepared.height, prepared.channels, prepared.test) == (32, 3, 20)
    damaged = root / base / cls.test_list[0][0]
    damaged.write_bytes(damaged.read_bytes()[:-5])
    with pytest.raises(UsageError, match="truncated or corrupt") as caught:
        prepare_data(name, str(root), False, None)
    assert str(damaged) in str(caught.value)


def image_tree(root: Path, mode: str = "RGB", size: tuple[int, int] = (10, 12)) -> Path:
    generator = np.random.default_rng(0)
    for part, count in (("train", 6), ("test", 2)):
        for name in ("ants", "bees"):
            (root / part / name).mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
                Image.fromarray(pixels).convert(mode).save(root / part / name / f"{index}.png")
    return root


def test_image_folder_equals_torchvisions(tmp_path: Path) -> None:
    prepared = prepare_data("image_folder", str(image_tree(tmp_path)), False, None)
    data = load_images(prepared)
    theirs = torchvision.datasets.ImageFolder(str(tmp_path / "train"))
    assert data.train_labels.tolist() == [label for _, label in theirs]
    for ours, (image, _) in zip(data.train_images, theirs, strict=True):
        assert np.array_equal(ours.numpy(), np.asarray(image))


def test_grey_images_have_one_channel_and_others_three(tmp_path: Path) -> None:
    assert prepare_data("image_folder", str(image_tree(tmp_path / "grey", "L")), False, None).channels == 1
    assert prepare_data("image_folder", str(image_tree(tmp_path / "palette", "P")), False, None).channels == 3


def test_changed_image_makes_a_new_fingerprint_and_a_moved_tree_does_not(tmp_path: Path) -> None:
    first = prepare_data("image_folder", str(image_tree(tmp_path / "a")), False, 16)
    (tmp_path / "a").rename(tmp_path / "b")
    assert prepare_data("image_folder", str(tmp_path / "b"), False, 16).fingerprint == first.fingerprint
    Image.new("RGB", (9, 9)).save(tmp_path / "b" / "train" / "ants" / "0.png")
    assert prepare_data("image_folder", str(tmp_path / "b"), False, 16).fingerprint != first.fingerprint


def test_files_that_are_no_images_are_named(tmp_path: Path) -> None:
    def refused(change: object, message: str) -> None:
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        image_tree(root)
        change(root)  # type: ignore[operator]
        with pytest.raises(UsageError) as caught:
            prepare_data("image_folder", str(root), False, None)
        assert message in str(caught.value)

    refused(lambda root: (root / "train/ants/notes.txt").write_text("x"), "train/ants/notes.txt is not an image")
    refused(lambda root: (root / "train/ants/0.png").write_text("text"), "train/ants/0.png cannot be read as an image")
    refused(lambda root: (root / "train/ants/0.png").write_bytes((root / "train/ants/0.png").read_bytes()[:99]),
            "train/ants/0.png cannot be read as an image")  # fmt: skip
    refused(lambda root: (root / "train/x.png").write_text("x"), "train/x.png is no class folder")
    refused(lambda root: (root / "train/wasps").mkdir(), "train/wasps is empty")
    refused(lambda root: [f.unlink() for f in (root / "test/bees").iterdir()], "test/bees is empty")
    refused(lambda root: (root / "test").rename(root / "val"), "test is missing")
    refused(lambda root: Image.new("RGB", (9, 9)).save(root / "train/ants/0.png"), "set dataset.image_size")
    refused(lambda root: [(root / "train/ants").rename(root / "train/moths")], "class ants stands in test/ only")


def test_hidden_files_are_left_alone(tmp_path: Path) -> None:
    image_tree(tmp_path)
    (tmp_path / "train" / "ants" / ".DS_Store").write_text("x")
    (tmp_path / "train" / "Thumbs.db").write_text("x")
    assert prepare_data("image_folder", str(tmp_path), False, None).train == 12


def test_images_below_8_pixels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="set dataset.image_size to 8 or more"):
        prepare_data("image_folder", str(image_tree(tmp_path, size=(4, 6))), False, None)
