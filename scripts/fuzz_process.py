"""Runs one case of scripts/fuzz.py, in a fork of this process or in a process of its own."""

import importlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from fuzz_cases import LOAD, Case, path_of

SECONDS_A_CASE = 60  # beyond it a case hangs; most take 0.1 s
MEMORY_A_CASE = 16 * 2**30  # bytes of address space, of which torch reserves 5 GB without using them


def import_everything() -> None:
    """Imports what commands import inside functions, so that a fork has it."""
    from actbench.store.mlflow_settings import configure_mlflow

    configure_mlflow()  # before MLflow is imported
    for name in (
        "cli.activations", "cli.hydra_app", "cli.main", "cli.ui", "commands.compare", "commands.data", "commands.train",
        "analysis.check", "report.report", "report.sweep", "store.views", "store.weights", "activations.custom",
    ):  # fmt: skip
        importlib.import_module(f"actbench.{name}")
    import torch
    import torchvision  # noqa: F401

    from actbench.experiment.compose import compose_grid

    torch.set_num_threads(1)  # a fork has one thread
    compose_grid([])


def write_files(folder: Path, case: Case) -> None:
    """Writes the files of a case into its folder, which is made."""
    folder.mkdir(parents=True)
    for name, content in case.files.items():
        path = os.path.join(os.fsencode(folder), path_of(name))
        os.makedirs(path if content is None else os.path.dirname(path), exist_ok=True)
        if content is not None:
            with open(path, "wb") as file:
                file.write(content)


def _environment(folder: Path) -> dict[str, str]:
    return {"TMPDIR": str(folder / "tmp"), "HOME": str(folder / "tmp"), "COMP_LINE": "actbench train activation=ge"}


def run_fork(folder: Path, words: Sequence[str]) -> tuple[int | None, str]:
    """The exit code, None where it hangs, and stderr of a command in a fork."""
    with (folder / "err").open("wb") as err, (folder / "out").open("wb") as out:
        child = os.fork()
        if child == 0:
            os._exit(_child(folder, words, out.fileno(), err.fileno()))
    deadline = time.monotonic() + SECONDS_A_CASE
    code = None
    while code is None and time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    if code is None:
        _end(child)
        os.waitpid(child, 0)
    return code, (folder / "err").read_bytes().decode(errors="backslashreplace")


def _child(folder: Path, words: Sequence[str], out: int, err: int) -> int:
    """The command, in the child process. Returns its exit code."""
    from actbench.cli.main import main as command_line
    from actbench.errors import UsageError, print_error
    from actbench.training.checkpoints import read_checkpoint

    os.setsid()
    os.dup2(out, 1)
    os.dup2(err, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", errors="backslashreplace")
    try:
        os.environ |= _environment(folder)
        tempfile.tempdir = None
        os.chdir(folder / "work")
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_A_CASE, MEMORY_A_CASE))
        sys.argv = ["actbench", *words]
        if words[:1] == (LOAD,):
            read_checkpoint(Path("mine.safetensors"))
            return 0
        return command_line(words)
    except UsageError as error:
        print_error(error)
        return 2
    except SystemExit as exited:
        return exited.code if isinstance(exited.code, int) else 0 if exited.code is None else 1
    except BaseException:
        traceback.print_exc()
        return 99
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def run_process(folder: Path, words: Sequence[str]) -> tuple[int | None, str]:
    """As `run_fork`, in a process that imports everything itself."""
    command = [os.fsencode(word) for word in (sys.executable, "-m", "actbench", *words)]
    with (folder / "err").open("wb") as err, (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder / "work", env=os.environ | _environment(folder), stdin=subprocess.DEVNULL, stdout=out,
            stderr=err, start_new_session=True,
        )  # fmt: skip
        try:
            code: int | None = process.wait(SECONDS_A_CASE)
        except subprocess.TimeoutExpired:
            code = None
            _end(process.pid)
            process.wait()
    return code, (folder / "err").read_bytes().decode(errors="backslashreplace")


def _end(leader: int) -> None:
    os.killpg(leader, signal.SIGKILL)
