"""Weights that were kept compute again what their run has computed."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import actbench
from actbench.activations.load import load_activation
from actbench.cli.main import main
from actbench.errors import UsageError
from actbench.store.files import read_runs
from actbench.training.checkpoints import Model, read_checkpoint

SMALL = ("training.steps=30", "training.evaluate_every=10", "training.measure_every=0", "execution.workers=1")
OWN = "tests.own_activations:"


pytestmark = pytest.mark.usefixtures("own_folder")


def accuracy(model: Model, part: str, batch: int) -> float:
    images, labels = model.examples(part)
    with torch.no_grad():
        right = sum(
            int((model(own).argmax(1) == wanted).sum())
            for own, wanted in zip(images.split(batch), labels.split(batch), strict=True)
        )
    return right / len(labels)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "more"),
    [
        ("mlp_small", ("architecture.norm=batch",)),
        ("cnn_small", ("architecture.norm=layer", "training.augment=true")),
        ("transformer_small", ("dataset.normalize=pixel",)),
        ("cnn_small", ("architecture.norm=batch", "training.precision=bf16")),
    ],
)
def test_loaded_model_has_the_accuracy_of_its_run_to_the_last_digit(
    architecture: str, more: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    activations = "activation=relu,prelu,swish,maxout,swiglu,rrelu,dynamic_relu"
    words = ["sweep", f"architecture={architecture}", activations, "seed=3", "store.save_weights=last", *more, *SMALL]
    assert main(words) == 0
    runs = read_runs(tmp_path / "results/sweep/runs.csv")
    assert len(runs) == 7
    for row in runs.to_dict("records"):
        model = actbench.load(row["run_id"])
        assert isinstance(model, torch.nn.Module)
        assert accuracy(model, "test", 128) == row["test_accuracy"]
        assert accuracy(model, "validation", 128) == row["val_accuracy"] == model.val_accuracy
        assert sum(own.numel() for own in model.parameters()) == row["parameters"]
    assert not list((tmp_path / "results/.weights").iterdir())  # the store has them


@pytest.mark.parametrize("architecture", ["rnn_small", "gru_small", "lstm_small"])
def test_loaded_recurrent_model_has_the_accuracy_of_its_run_to_the_last_digit(
    architecture: str, tmp_path: Path
) -> None:
    words = ["sweep", f"architecture={architecture}", "architecture.depth=2", "activation=relu,prelu,rrelu", *SMALL]
    assert main([*words, "training.dropout=0.1", "store.save_weights=last"]) == 0
    for row in read_runs(tmp_path / "results/sweep/runs.csv").to_dict("records"):
        model = actbench.load(row["run_id"])
        assert accuracy(model, "test", 128) == row["test_accuracy"]
        images = model.examples("test")[0][:20]
        assert not torch.equal(model.train()(images), model(images))


def test_best_weights_are_those_of_the_best_accuracy_on_what_every_evaluation_has(tmp_path: Path) -> None:
    """Evaluations before the end have the first 256 of 288 validation examples; the last has all."""
    words = ["train", "architecture=mlp_small", "optimizer.lr=0.1", "training.schedule=constant", "training.steps=60"]
    assert main([*words, "training.measure_every=0", "store.save_weights=all"]) == 0
    (run_id,) = read_runs(tmp_path / "results/train/runs.csv")["run_id"]
    each = [actbench.load(run_id, f"step-{step}") for step in (0, 4, 15, 34, 60)]
    on_the_part = []
    for model in each:
        images, labels = model.examples("validation")
        with torch.no_grad():
            right = torch.cat([model(own).argmax(1) for own in images[:256].split(128)]) == labels[:256]
        on_the_part.append(right.double().mean().item())
    assert [model.val_accuracy for model in each[:-1]] == on_the_part[:-1]
    assert each[-1].val_accuracy == accuracy(each[-1], "validation", 128)
    assert actbench.load(run_id, "best").step == each[on_the_part.index(max(on_the_part))].step


def test_dropout_is_applied_in_training_mode_only() -> None:
    words = ["train", "architecture=cnn_small", "training.dropout=0.4", "store.save_weights=last", *SMALL]
    assert main(words) == 0
    (run_id,) = read_runs(Path("results/train/runs.csv"))["run_id"]
    model = actbench.load(run_id)
    images = model.examples("test")[0][:20]
    assert torch.equal(model(images), model(images))
    torch.manual_seed(0)
    trained = model.train()(images)
    assert not torch.equal(trained, model(images))


def test_weights_from_before_dropout_are_read(tmp_path: Path) -> None:
    assert main(["train", "architecture=mlp_small", "store.save_weights=last", *SMALL]) == 0
    (path,) = (tmp_path / "mlruns").rglob("last.safetensors")
    with safe_open(path, "pt") as file:
        head = json.loads(file.metadata()["actbench"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del head["config"]["training"]["dropout"], head["data"]["own_test"]
    assert Model(head, tensors).config.training.dropout == 0


def test_parameters_of_modules_within_a_users_activation_are_restored(tmp_path: Path) -> None:
    words = ["train", "activation=tests.own_activations:Nested", "architecture=mlp_small", "optimizer.lr=0.05"]
    assert main([*words, "store.save_weights=last", *SMALL]) == 0
    (row,) = read_runs(tmp_path / "results/train/runs.csv").to_dict("records")
    model = actbench.load(row["run_id"])
    learned = {
        name.removeprefix("activation0."): own for name, own in model.named_parameters() if "activation0" in name
    }
    assert set(learned) == {"lower.weight", "upper.scale", "inner.first.scale", "inner.second.scale"}
    assert learned["inner.first.scale"] != learned["inner.second.scale"]
    assert accuracy(model, "test", 128) == row["test_accuracy"]


def test_best_last_and_all_weights_can_be_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "architecture=mlp_small", "optimizer.lr=0.1", "training.schedule=constant", *SMALL]
    assert main([*words, "store.save_weights=all"]) == 0
    (run_id,) = read_runs(tmp_path / "results/train/runs.csv")["run_id"]
    each = [actbench.load(run_id, f"step-{step}") for step in (0, 10, 20, 30)]
    assert [model.step for model in each] == [0, 10, 20, 30]
    best, last = actbench.load(run_id, "best"), actbench.load(run_id)
    assert main([*words, "store.save_weights=all"]) == 0
    assert "nothing to train" in capsys.readouterr().out  # nor for best or last alone
    assert best.val_accuracy == max(model.val_accuracy for model in each) == accuracy(best, "validation", 128)
    assert last.step == 30
    assert all(
        torch.equal(a, b) for a, b in zip(last.state_dict().values(), each[3].state_dict().values(), strict=True)
    )
    for which, said in (("step-5", "has no weights step-5; it has "), ("nonsense", "has no weights nonsense")):
        with pytest.raises(UsageError, match=said):
            actbench.load(run_id, which)
    with pytest.raises(UsageError, match="no run 0123456789ab"):
        actbench.load("0123456789ab")


def test_run_without_its_weights_is_trained_again_where_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["train", "architecture=mlp_small", f"activation={OWN}squareplus", *SMALL]
    assert main(words) == 0
    (run_id,) = read_runs(tmp_path / "results/train/runs.csv")["run_id"]
    with pytest.raises(UsageError, match="has no weights; train it with store.save_weights=last"):
        actbench.load(run_id)
    for expected in ("1 to train", "0 to train"):
        capsys.readouterr()
        assert main([*words, "store.save_weights=best"]) == 0
        assert expected in capsys.readouterr().out
    assert actbench.load(run_id).val_accuracy > 0


def test_model_takes_floats_trains_on_and_refuses_other_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "architecture=cnn_small", "store.save_weights=last", *SMALL]) == 0
    (run_id,) = read_runs(tmp_path / "results/train/runs.csv")["run_id"]
    model = actbench.load(run_id)
    images, labels = model.examples("train")
    torch.testing.assert_close(model(images[:5].float() / 255), model(images[:5]))
    optimizer = torch.optim.SGD(model.train().parameters(), lr=0.01)
    losses = []
    for _ in range(5):
        loss = torch.nn.functional.cross_entropy(model(images[:64]), labels[:64])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    with pytest.raises(ValueError, match=r"this model takes \(batch, 1, 8, 8\)"):
        model(torch.zeros(2, 3, 8, 8))


def test_loaded_model_changes_no_global_setting_of_torch(own_folder: Path) -> None:
    assert main(["train", "architecture=mlp_small", "store.save_weights=last", *SMALL]) == 0
    (run_id,) = read_runs(own_folder / "results/train/runs.csv")["run_id"]
    products = torch.backends.cuda.matmul
    before, threads = products.fp32_precision, torch.get_num_threads()
    try:
        torch.set_flush_denormal(False)  # the training above flushes them
        products.fp32_precision = "tf32"
        model = actbench.load(run_id)
        model(model.examples("test")[0][:2])
        assert products.fp32_precision == "tf32"
        assert torch.tensor([1e-39]).mul(0.5).item() > 0
        assert torch.get_num_threads() == threads
    finally:
        products.fp32_precision = before


def test_weights_are_safetensors_and_damaged_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["train", "architecture=mlp_small", "store.save_weights=last", *SMALL]) == 0
    (path,) = (tmp_path / "mlruns").rglob("last.safetensors")
    with safe_open(path, "pt") as file:
        assert {"hidden0.weight", "output.bias", "input.scale"} <= set(file.keys())
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UsageError, match="holds no weights of actbench"):
        read_checkpoint(path)


def test_a_diverged_run_has_no_weights_and_still_counts_as_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "architecture=mlp_small", "optimizer=sgd", "optimizer.lr=1e9", *SMALL, "store.save_weights=last"]
    for expected in ("1 to train", "0 to train"):
        assert main(words) == 0
        assert expected in capsys.readouterr().out
    (run_id,) = read_runs(tmp_path / "results/train/runs.csv")["run_id"]
    with pytest.raises(UsageError, match="has no weights; it diverged"):
        actbench.load(run_id)


def test_weights_of_an_interrupted_training_are_not_stored(tmp_path: Path) -> None:
    words = ["train", "architecture=mlp_small", *SMALL]
    assert main(words) == 0
    (run_id,) = read_runs(tmp_path / "results/train/runs.csv")["run_id"]
    left = tmp_path / "results/.weights" / run_id
    left.mkdir(parents=True)
    (left / "best.safetensors").write_bytes(b"of another training")
    assert main([*words, "store.save_weights=last"]) == 0
    with pytest.raises(UsageError, match="has no weights best; it has last"):
        actbench.load(run_id, "best")


def test_weights_of_a_changed_activation_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "changing.py").write_text("import torch\ndef f(z):\n    return torch.tanh(z)\n")
    words = ["train", "architecture=mlp_small", "activation=changing:f", *SMALL, "store.save_weights=last"]
    assert main(words) == 0
    (run_id,) = read_runs(tmp_path / "results/train/runs.csv")["run_id"]
    (tmp_path / "changing.py").write_text("import torch\ndef f(z):\n    return torch.sin(z)\n")
    monkeypatch.delitem(sys.modules, "changing", raising=False)  # as in another process
    load_activation.cache_clear()
    with pytest.raises(UsageError, match=f"changing:f is not the code that run {run_id} was trained with"):
        actbench.load(run_id)
    assert "changing" not in sys.modules  # refused before any of it ran
