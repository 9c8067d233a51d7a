"""Whatever is wrong with a line is said in one line, before anything is trained or written."""

import os
import pickle
from pathlib import Path

import pytest

from tests.support import TINY, actbench

pytestmark = pytest.mark.usefixtures("command_line")

LONG = "k" * 5000
# Nine levels of nine aliases each stand for 9 ** 9 values.
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
QUESTION = "question: Why?\nsource: null\noverrides: []\n"


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Runs a command that must be refused; returns its line on stderr."""
    before = {path: path.stat().st_size for path in Path.cwd().rglob("*")}
    capsys.readouterr()
    try:
        code = actbench(*words)
    except SystemExit as exited:  # argparse's own refusal
        code = int(str(exited.code))
    shown = capsys.readouterr().err
    assert code == 2
    assert shown.startswith("actbench: error: ")
    assert shown.endswith("\n")
    assert shown.count("\n") == 1
    assert len(shown) < 2500
    assert {path: path.stat().st_size for path in Path.cwd().rglob("*")} == before
    return shown


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("seed=range(0,1e9)", "seed=range(0,1e9): 1,000,000,000 values, more than 100,000; split the sweep"),
        ("seed=range(0,10,1e-9)", "10,000,000,000 values"),
        ("seed=shuffle(range(0,1e9))", "1,000,000,000 values"),
        ("seed=range(0,inf)", "a range needs finite numbers"),
        ("seed=range(0,1e400)", "a range needs finite numbers"),
        ("seed=range(0,nan)", "a range needs finite numbers"),
        ("seed=range(0,1,nan)", "a range needs finite numbers"),
        ("seed=range(0,1,0)", "the step of a range must not be 0"),
        ("seed=range(5,1)", "the sweep is empty"),
        ("seed=interval(0,1)", "cannot be swept over"),
        (f"seed={','.join(map(str, range(30000)))}", "characters, more than 20,000; write range(a,b)"),
        (f"protocol.learning_rates=[{','.join(map(str, range(1, 3000)))}]", "a list of more than 2,000 characters"),
        (f"seed={'9' * 6000}", "Exceeds the limit"),
        ("=1", "=1: there is no key before ="),
        ("hydra=1", "settings of Hydra itself"),
        ("hydra.run.dir=x", "settings of Hydra itself"),
        ("+hydra.x=1", "settings of Hydra itself"),
        ("hydra/launcher=x", "settings of Hydra itself"),
        ("activation@x=relu", "without @x"),
        ("protocol.baseline=nosuch:f", "protocol.baseline=nosuch:f: is not among the activations"),
        (f"{LONG}=1", "unknown key kkk"),
        (f"training.{LONG}=1", "unknown key training.kkk"),
        (f"training.epochs={LONG}", "training.epochs=kkk"),
        (f"activation={LONG}", "no such activation"),
        (f"activation={LONG}:f", "no module named"),
        ("seed=", "seed=: must be a whole number"),
        ("seed=\n1", "not Hydra's grammar"),
        ("seed=\udcff", "seed=\\udcff: not Hydra's grammar"),
        ("activation=\x1b[31m", "\\x1b[31m"),
        ("seed=a\0b", "NUL"),
        ("seed=${seed}", "Recursive interpolation"),
        ("seed=${oc.env:NO_SUCH_VARIABLE}", "seed: KeyError"),
        ("seed=???", "seed: Missing mandatory value"),
        ("activation=torch:tensor", "autograd cannot see through it"),
        ("store.uri=nosuch://x", "store.uri=nosuch://x"),
    ],
)
def test_a_wrong_override_of_a_sweep_is_one_line(line: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in refused(capsys, "sweep", *TINY, "seed=range(0,9)", line)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["architecture=transformer", "architecture.patch=1000"], "larger than the images of digits, 8x8 pixels"),
        (["architecture.width=65536", "architecture.depth=1000"], "more than the"),
        (["architecture=transformer", "architecture.width=65536"], "take a smaller network (architecture.depth=2"),
        (["training.steps=1000000000", "training.evaluate_every=1"], "take at least 10000"),
        (["training.steps=1000000000", "training.measure_every=2"], "training.measure_every=2: 500,000,000 times"),
        (["--config-dir", ""], "--config-dir '': no such folder"),
        (["--config-dir", LONG], "no such folder"),
        (["--nosuch\nx"], "unrecognized arguments: --nosuch x"),
    ],
)
def test_a_run_that_cannot_be_trained_is_refused_before_anything_is_allocated(
    lines: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(capsys, "train", *lines)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--resolve", "foo=1"], "--resolve goes with --cfg job"),
        (["--hydra-help", "x"], "x: not Hydra's grammar"),
        (["--info", "nosuch"], "invalid choice: 'nosuch'"),
        (["--package"], "expected one argument"),
        (["-p", "x"], "--package goes with --cfg job"),
        (["-m", "--cfg"], "expected one argument"),
        (["-m", "--nosuch"], "unrecognized arguments: --nosuch"),
        (["-m", "seed=range(0,inf)"], "a range needs finite numbers"),
        (["-m", "hydra/launcher=nosuch"], "Could not find 'hydra/launcher/nosuch'"),
        (["-m", "hydra.nosuch=1"], "Could not override 'hydra.nosuch'"),
        (["-m", "--config-dir", "/nosuch"], "no such folder"),
        (["-m", "--config-name", "nosuch"], "not an option of actbench"),
        (["-sc"], "Expecting one subcommand"),
        (["-sc", "install=nosuch"], "No completion plugin for 'nosuch'"),
        (["-sc", "query=bash"], "is for the shell, which sets COMP_LINE"),
    ],
)
def test_a_wrong_option_of_hydras_own_application_is_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(capsys, "train", *words)


def test_a_broken_word_on_a_line_that_the_shell_completes_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMP_LINE", "actbench train dataset.root=[nowhere ")
    words = ["train", "-sc", "query=bash", "dataset.root=[nowhere"]
    assert "expected ',' or ']'" in refused(capsys, *words)


def test_a_pickle_is_never_loaded_by_hydras_rerun(capsys: pytest.CaptureFixture[str]) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, ("sprung",)

    Path("job.pickle").write_bytes(pickle.dumps(Trap()))
    assert "--experimental-rerun: not an option" in refused(capsys, "train", "--experimental-rerun", "job.pickle")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB, "stands for more than 10,000 values"),
        (QUESTION + BOMB, "stands for more than 10,000 values"),
        ("[" * 5000 + "]" * 5000, "nested more than 50 deep"),
        (QUESTION + "x: " + "{a: " * 3000 + "1" + "}" * 3000, "nested more than 50 deep"),
        ("a: &a\n  b: *a\n", "the alias *a is undefined or part of what it stands for"),
        (QUESTION + "hypotheses: &a\n  - *a\n", "the alias *a"),
        (QUESTION + "x" * 200_000, "too large"),
        ("question: ${oc.env:HOME}\nsource: null\noverrides: []\n", "holds no interpolations"),
        ("question: ${.source}\nsource: ${.question}\noverrides: []\n", "holds no interpolations"),
        ("question: ''\nsource: null\noverrides: []\n", "must not be blank"),
        ("question: Why?\nquestion: When?\nsource: null\noverrides: []\n", "found duplicate key question"),
        ("!!python/object/apply:os.mkdir [sprung]\n", "could not determine a constructor"),
        (QUESTION.replace("[]", "['']"), "'': not Hydra's grammar"),
        (b"question: \xff\xfe\nsource: null\noverrides: []\n", "is not UTF-8 text (byte 10)"),
        (b"\x00\x00", "special characters are not allowed"),
        (b"", "an experiment has the keys"),
    ],
)
def test_a_wrong_file_of_an_experiment_is_one_line(
    content: str | bytes, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    for command in ("compare", "sweep"):
        assert message in refused(capsys, command, "./mine.yaml")


@pytest.mark.parametrize("name", ["../x", "a/b", "/", "a\nb", "\x1b[31m", "\udcff", LONG, f"{LONG}.yaml", ".yaml", ""])
def test_a_wrong_name_of_an_experiment_is_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, "compare", name)


def test_a_name_of_a_file_that_would_lead_out_of_the_results_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("...yaml").write_text(QUESTION)  # its stem is ..
    assert "its name is that of the folder in results" in refused(capsys, "sweep", "./...yaml", *TINY)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB, "stands for more than 10,000 values"),
        ("[" * 5000, "nested more than 50 deep"),
        ("a: &a [*a]\n", "the alias *a"),
        ("defaults: [mine]\n", "refers to itself"),
        ("name: ${.width}\nwidth: ${.name}\n", "Recursive interpolation"),
        ("name: mlp\nname: cnn\n", "found duplicate key name"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        ("defaults: 1\n", "defaults must be a list"),
        ("", "missing key architecture.name"),
    ],
)
def test_a_wrong_file_of_a_config_folder_is_one_line(
    content: str | bytes, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("own/architecture").mkdir(parents=True)
    Path("own/architecture/mine.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert message in refused(capsys, "train", "architecture=mine", "--config-dir", "own")


@pytest.mark.parametrize(
    "words",
    [
        ["report", "quickstart", "--format", ""],
        ["report", "quickstart", "store.uri=sqlite:///."],
        ["report", "quickstart", "store.uri=http://127.0.0.1:1"],
        ["report", "quickstart", "seed=1,2"],
        ["ui", "--port", "99999999"],
        ["ui", "store.uri=nosuch://x"],
        ["ui", "x"],
        ["data", "check", "\n"],
        ["data", "check", "digits", "seed=1,2"],
        ["data", "check", "image_folder", f"dataset.root={LONG}"],
        ["activations", LONG],
        ["activations", "torch:tensor"],
        ["activations", "gelu", "--plot", f"{LONG}.png"],
        ["activations", "gelu", "--plot", "a\0.png"],
        ["cost", "training.batch_size=-1"],
        ["cost", "activation=relu", "architecture.width=65536"],
        [LONG],
        ["a\nb"],
    ],
)
def test_a_wrong_line_of_any_other_command_is_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, *words)


def test_the_shell_completes_groups_choices_and_keys(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for typed, expected in (
        ("actbench train activation=gegl", "activation=geglu"),
        ("actbench train --multirun activation=gelu optimizer.l", "optimizer.lr="),
    ):
        monkeypatch.setenv("COMP_LINE", typed)
        for words in (["-sc", "query=bash"], ["train", "-sc", "query=bash"]):  # the shell leaves the subcommand out
            assert actbench(*words) == 0
            assert capsys.readouterr() == (f"{expected}\n", "")
    assert actbench("train", "-sc", "install=bash") == 0
    assert "actbench" in capsys.readouterr().out.splitlines()[-1]
