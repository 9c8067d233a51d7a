"""Texts become three parts of characters; windows of them are what they are said to be; every bad text is one line."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from actbench.data import text as source
from actbench.data.datasets import Options, PreparedData, TextData, load_data, prepare_data
from actbench.data.float_batches import make_batches
from actbench.data.text_batches import TextBatches, spread_order, text_windows
from actbench.determinism import stream
from actbench.errors import UsageError
from tests.support import actbench

CPU = torch.device("cpu")


def prepared_text(root: Path, content: str | bytes, context: int = 8, split: str | None = None) -> PreparedData:
    path, whole = root / "input.txt", content if isinstance(content, bytes) else content.encode()
    if not path.exists() or path.read_bytes() != whole:  # a cache is of a file at a time
        path.write_bytes(whole)
    return prepare_data("text", str(path), False, None, options=Options(context=context, split=split))


def loaded(prepared: PreparedData) -> TextData:
    data = load_data(prepared)
    assert isinstance(data, TextData)
    return data


def batches(prepared: PreparedData, seeds: list[int], size: int = 4) -> TextBatches:
    made = make_batches(loaded(prepared), prepared, seeds, None, size, "none", False, CPU)
    assert isinstance(made, TextBatches)
    return made


def random_text(length: int, alphabet: str = "abc\nä€😀") -> str:
    generator = np.random.default_rng(0)
    return "".join(alphabet[place] for place in generator.integers(0, len(alphabet), length))


def decoded(prepared: PreparedData, part: torch.Tensor) -> str:
    return "".join(prepared.vocabulary[index] for index in part.tolist())


def test_parts_are_80_10_and_10_percent_of_the_text_in_its_order(tmp_path: Path) -> None:
    text = random_text(1003)
    prepared = prepared_text(tmp_path, text)
    assert prepared.vocabulary == "".join(sorted(set(text)))
    assert (prepared.kind, prepared.metric, prepared.classes) == ("text", "bits_per_character", 7)
    data = loaded(prepared)
    assert data.train.dtype == torch.uint8
    assert [decoded(prepared, part) for part in (data.train, data.validation, data.test)] == [
        text[:802], text[802:902], text[902:],
    ]  # fmt: skip
    assert prepared.own_test
    assert prepared.validation_size(None) == (100 - 1) // 8
    assert (prepared.train, prepared.test) == ((802 - 1) // 8 + 12, (101 - 1) // 8)


def test_nanogpts_split_has_nine_tenths_one_tenth_and_no_test(tmp_path: Path) -> None:
    text = random_text(1003)
    prepared = prepared_text(tmp_path, text, split="nanogpt")
    data = loaded(prepared)
    cut = int(len(text) * 0.9)  # as data/shakespeare_char/prepare.py has it
    assert decoded(prepared, data.train) == text[:cut]
    assert decoded(prepared, data.validation) == text[cut:]
    assert (len(data.test), prepared.test, batches(prepared, [0]).test_size) == (0, 0, 0)


def test_more_than_256_characters_are_kept_apart(tmp_path: Path) -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 400))) * 3
    prepared = prepared_text(tmp_path, text)
    data = loaded(prepared)
    assert data.train.dtype == torch.int32
    assert prepared.classes == 400
    assert decoded(prepared, data.train) == text[:960]


def test_a_text_may_be_a_file_or_a_folder_and_its_place_is_no_part_of_its_fingerprint(tmp_path: Path) -> None:
    text = random_text(300)
    one = prepared_text(tmp_path, text)
    folder = prepare_data("text", str(tmp_path), False, None, options=Options(context=8))
    assert folder.fingerprint == one.fingerprint
    assert prepared_text(tmp_path, text + "a").fingerprint != one.fingerprint
    assert prepared_text(tmp_path, text, split="nanogpt").fingerprint != one.fingerprint


def test_one_cache_serves_every_context(tmp_path: Path) -> None:
    small, large = (prepared_text(tmp_path, random_text(500), context) for context in (4, 16))
    assert small.folder == large.folder
    assert (small.height, large.height) == (4, 16)
    assert prepared_text(tmp_path, random_text(500), 4) == small


def test_a_byte_order_mark_is_no_character(tmp_path: Path) -> None:
    assert "\ufeff" not in prepared_text(tmp_path, b"\xef\xbb\xbf" + random_text(300).encode()).vocabulary


def test_targets_are_the_next_characters_and_windows_lie_in_their_part(tmp_path: Path) -> None:
    prepared = prepared_text(tmp_path, random_text(997))
    data, own = loaded(prepared), batches(prepared, [3, 5])
    for part, (x, targets) in {
        "train": own.training(0), "validation": own.validation(0, 12), "test": own.test(0, 12)
    }.items():  # fmt: skip
        assert (x.dtype, targets.dtype) == (torch.int64, torch.int64)
        assert x.shape == targets.shape == (2, x.shape[1], 8)
        content = decoded(prepared, getattr(data, part))
        for window, following in zip(x.flatten(0, 1), targets.flatten(0, 1), strict=True):
            assert decoded(prepared, window[1:]) == decoded(prepared, following[:-1])
            assert decoded(prepared, torch.cat([window, following[-1:]])) in content


def test_training_windows_start_where_the_seeds_own_stream_says(tmp_path: Path) -> None:
    prepared = prepared_text(tmp_path, random_text(997))
    own = batches(prepared, [7, 2, 7], size=5)
    train = loaded(prepared).train.long()
    steps = -(-((len(train) - 1) // 8) // 5)
    assert own.steps_per_epoch == steps
    for step in (0, 1, steps - 1, steps, 2 * steps + 3):
        epoch, place = divmod(step, steps)
        x, targets = own.training(step)
        assert own.size(step) == x.shape[1] == 5  # the last mini-batch of an epoch too
        for run, seed in enumerate((7, 2, 7)):
            starts = torch.randint(len(train) - 8, (steps * 5,), generator=stream(seed, "order", epoch))
            for index, start in enumerate(starts[place * 5 : place * 5 + 5].tolist()):
                assert torch.equal(x[run, index], train[start : start + 8])
                assert torch.equal(targets[run, index], train[start + 1 : start + 9])


def test_every_place_of_the_training_part_is_drawn_equally_often(tmp_path: Path) -> None:
    text = "".join(chr(0x4E00 + place) for place in range(100))  # each character once: it says where a window starts
    prepared = prepared_text(tmp_path, text, context=5)
    own = batches(prepared, [0], size=500)
    starts = torch.cat([own.training(step)[0][0, :, 0] for step in range(60)])
    counts = torch.bincount(starts, minlength=75)
    assert len(counts) == 75  # 80 characters, windows of 5 with the character after them
    expected = len(starts) / 75
    assert ((counts - expected).square() / expected).sum() < 74 + 5 * (2 * 74) ** 0.5  # chi-squared


def test_evaluation_windows_do_not_overlap_and_are_the_same_for_all_seeds(tmp_path: Path) -> None:
    prepared = prepared_text(tmp_path, random_text(997))
    data, own = loaded(prepared), batches(prepared, [0, 1])
    x, targets = own.validation(0, own.validation_size)
    assert torch.equal(x[0], x[1])
    assert torch.equal(targets[0], batches(prepared, [9]).validation(0, 12)[1][0])
    assert own.validation_size == 12
    wanted = sorted(data.validation[8 * i : 8 * i + 8].tolist() for i in range(12))
    assert sorted(x[0].tolist()) == wanted
    test = own.test(0, own.test_size)[0][0]  # in the order of the text
    assert torch.equal(test.flatten(), data.test[: 8 * own.test_size].long())
    assert torch.equal(test, text_windows(data.test, 8)[0])
    chunks = torch.cat([own.validation(start, min(start + 5, 12))[0] for start in range(0, 12, 5)], 1)
    assert torch.equal(chunks, x)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 137, 1742])
def test_the_first_windows_of_the_order_are_spread_evenly_however_many(count: int) -> None:
    order = spread_order(count)
    assert sorted(order.tolist()) == list(range(count))
    for first in range(1, count + 1):
        places = torch.cat([torch.tensor([-1]), order[:first].sort().values, torch.tensor([count])])
        gap = int(places.diff().max())
        assert gap <= 2.7 * count / first + 2  # golden ratio: at most phi^2 = 2.62 times the even distance


def test_a_text_of_two_characters_that_fits_once_is_enough(tmp_path: Path) -> None:
    prepared = prepared_text(tmp_path, "ab" * 15, context=2)  # validation and test: three characters, one window
    assert (prepared.validation, prepared.test) == (1, 1)
    with pytest.raises(UsageError, match=r"dataset.context=3: the validation part of .* has 3 characters"):
        prepared_text(tmp_path, "ab" * 15, context=3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; name another text"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"aaaa" * 100, "holds one character only, 'a'; name another text"),
        ("grün".encode("latin-1") * 100, "is not UTF-8 text (byte 0xfc at 2); convert it"),
        ("text".encode("utf-16") * 100, "is not UTF-8 text (byte 0xff at 0)"),
        (b"\xed\xa0\x80" * 100, "is not UTF-8 text"),  # half of a pair
        (b"ab", "dataset.context=8: the train part of"),
        (b"abcde" * 10, "dataset.context=8: the validation part of"),
    ],
)
def test_a_bad_text_is_one_line(
    content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "input.txt").write_bytes(content)
    assert actbench("data", "check", "text", f"dataset.root={tmp_path}", "dataset.context=8") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert str(tmp_path / "input.txt") in line


def test_a_missing_text_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for root, message in ((tmp_path / "no.txt", f"{tmp_path / 'no.txt'} is missing; set dataset.root to a UTF-8"),
                          (tmp_path, f"{tmp_path / 'input.txt'} is missing")):  # fmt: skip
        assert actbench("data", "check", "text", f"dataset.root={root}") == 2
        assert message in capsys.readouterr().err
    assert actbench("data", "check", "text") == 2
    assert "dataset=text: say where the text is: dataset.root=FILE" in capsys.readouterr().err


def test_a_text_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST_BYTES", 299)
    with pytest.raises(UsageError, match="has more than 299 bytes; take a part of it"):
        prepared_text(tmp_path, "ab" * 150)


PLAY = random_text(2000, "abc \n").encode()


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Tiny Shakespeare shrunk to 2,000 bytes; the checks are the real ones."""
    monkeypatch.setattr(source, "SHAKESPEARE_BYTES", len(PLAY))
    monkeypatch.setattr(source, "SHAKESPEARE_SHA256", hashlib.sha256(PLAY).hexdigest())
    return PLAY


class Answer:
    """What the server sends: a status, the length that it announces, and the content."""

    status, length, content = 200, len(PLAY), PLAY
    requests = 0


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answer]:
    """A server on this machine in the place of the text's home."""
    own = Answer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            own.requests += 1
            self.send_response(own.status)
            self.send_header("Content-Length", str(own.length))
            self.end_headers()
            self.wfile.write(own.content)

        def log_message(self, *arguments: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(source, "SHAKESPEARE", f"http://127.0.0.1:{httpd.server_port}/input.txt")
    yield own
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def test_shakespeare_is_downloaded_once_and_checked(
    tmp_path: Path, play: bytes, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("shakespeare", f"dataset.root={tmp_path}", "dataset.context=16")
    assert actbench("data", "check", *words) == 2  # stays off the network
    assert "shakespeare/input.txt is missing; run `actbench data fetch shakespeare`" in capsys.readouterr().err
    assert answer.requests == 0
    for _ in range(2):
        assert actbench("data", "fetch", *words) == 0
    assert answer.requests == 1
    assert (tmp_path / "shakespeare" / "input.txt").read_bytes() == play
    capsys.readouterr()
    assert actbench("data", "check", *words) == 0
    assert "shakespeare: 111 training and 12 test windows of 16 characters, 5 different" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("status", "length", "content", "message"),
    [
        (404, 3, b"No.", "HTTP Error 404"),
        (200, len(PLAY), PLAY[:-7], "has 1,993 bytes, and tiny Shakespeare has 2,000"),  # the connection is cut
        (200, len(PLAY) + 4, PLAY + b"more", "has more than 2,000 bytes"),
        (200, len(PLAY), PLAY[:-1] + b"!", "its SHA-256 sum is wrong"),
        (200, 0, b"", "has 0 bytes"),
    ],
)
def test_a_failed_download_is_one_line_and_leaves_no_file(
    status: int, length: int, content: bytes, message: str, tmp_path: Path, play: bytes, answer: Answer,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    answer.status, answer.length, answer.content = status, length, content
    assert actbench("data", "fetch", "shakespeare", f"dataset.root={tmp_path}") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert "the download failed" in line
    assert "set dataset.root to a folder that holds it" in line
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_download_to_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, play: bytes, answer: Answer) -> None:
    (tmp_path / "shakespeare").write_text("a file in the place of the folder")
    with pytest.raises(UsageError, match="is missing and the download failed"):
        prepare_data("shakespeare", str(tmp_path), True, None, options=Options(context=8))


def test_shakespeare_of_ones_own_is_found_in_three_places_and_checked(tmp_path: Path, play: bytes) -> None:
    places = [tmp_path / "a" / "shakespeare" / "input.txt", tmp_path / "b" / "input.txt", tmp_path / "c.txt"]
    roots = [tmp_path / "a", tmp_path / "b", tmp_path / "c.txt"]
    for root, place in zip(roots, places, strict=True):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(play)
        prepared = prepare_data("shakespeare", str(root), False, None, options=Options(context=16))
        assert prepared.train == 111
        place.write_bytes(play[:-1] + b"!")
        with pytest.raises(UsageError, match="SHA-256 sum is wrong; delete it and run `actbench data fetch shakesp"):
            prepare_data("shakespeare", str(root), False, None, options=Options(context=16))


def test_a_damaged_cache_of_a_text_is_built_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepared = prepared_text(tmp_path, random_text(500))
    (Path(prepared.folder) / "test.npy").write_bytes(b"")
    with pytest.raises(UsageError, match="is damaged"):
        load_data(prepared)
    assert prepared_text(tmp_path, random_text(500)) == prepared
    assert "built again from the source" in capsys.readouterr().err
    loaded(prepared)
