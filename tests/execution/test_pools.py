"""What is wrong with the settings of a cluster is said in one line that names the key, before anything is trained."""

import pytest

from actbench.errors import UsageError
from actbench.execution.pools import make_pool, pool_device
from actbench.experiment.compose import compose_command


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["execution=slurm", "execution.workers=auto"], "execution.workers=auto: must be a whole number"),
        (["execution=slurm", "execution.slurm.minutes=0"], "execution.slurm.minutes=0: must be"),
        (["execution=slurm", "execution.slurm.memory=-1"], "execution.slurm.memory=-1: must be"),
        (["execution=slurm", "execution.slurm.additional={a:[1]}"], "must be options of sbatch"),
        (["execution=ray", "execution.wait=false"], "only jobs of Slurm outlive the command"),
        (["execution.wait=false"], "only jobs of Slurm outlive the command"),
        (["execution=ray", "execution.device=cuda"], "jobs ask for no GPU"),
    ],
)
def test_wrong_settings_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        pool_device(compose_command(words).execution)


def test_the_device_of_jobs_is_what_they_ask_for_and_not_this_machines() -> None:
    assert pool_device(compose_command(["execution=slurm"]).execution) == "cpu"
    assert pool_device(compose_command(["execution=slurm", "execution.slurm.gpus=1"]).execution) == "cuda"


def test_a_cluster_of_ray_that_does_not_answer_is_named() -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    with pytest.raises(UsageError, match=r"execution.ray.address=127.0.0.1:1: nothing answers there"):
        make_pool(compose_command(["execution=ray", "execution.ray.address=127.0.0.1:1"]), "sweep", [], None)


def test_slurm_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match="execution=slurm: Could not detect"):
        make_pool(compose_command(["execution=slurm"]), "sweep", [], None)
