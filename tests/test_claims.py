"""The table of all claims: its marks, its headline, and its length."""

import dataclasses
import importlib.util
import itertools
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from actbench.analysis.hypotheses import asked_runs
from actbench.analysis.labels import labelled
from actbench.analysis.selectors import tasks_of
from actbench.data.datasets import PreparedData
from actbench.experiment.compose import compose_experiment
from actbench.experiment.protocol import learning_rates
from actbench.experiment.questions import Experiment, Hypothesis, load_experiment
from actbench.experiment.runs import make_run
from actbench.report.formats.documents import pdf
from actbench.store.files import runs_frame
from actbench.training.results import missing_result
from tests.support import ROOT

EXPERIMENTS = [load_experiment(path.stem) for path in sorted((ROOT / "experiments").glob("*.yaml"))]
CLAIMS = [(experiment, hypothesis) for experiment in EXPERIMENTS for hypothesis in experiment.hypotheses]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("claims_table", ROOT / "scripts" / "claims_table.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules["claims_table"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def claim(text: str, **given: Any) -> Hypothesis:
    basis: dict[str, Any] = {"metric": "test_accuracy", "a": {"activation": "gelu"}, "b": {"activation": "relu"},
                             "direction": "higher", "testable": "yes"}  # fmt: skip
    return Hypothesis(claim=text, **(basis | given))


def judged(name: str, verdicts: dict[str, dict[str, str]], **given: Any) -> tuple[Experiment, pd.DataFrame]:
    """An experiment of these claims with a verdict for each task."""
    hypotheses = tuple(claim(text, **given) for text in verdicts)
    experiment = Experiment(
        name=name, question="?", source="One & Two 2016, arXiv:1", overrides=(), hypotheses=hypotheses
    )
    rows = [(text, task, found) for text, own in verdicts.items() for task, found in own.items()]
    return experiment, pd.DataFrame(rows, columns=["claim", "task", "verdict"])


def test_a_claim_is_one_line_with_a_mark_for_each_task(script: ModuleType) -> None:
    claims = script.collect([
        judged("x", {
            "gelu wins": {"digits, mlp, he": "supported", "digits, mlp, glorot": "refuted", "digits, cnn, he": "equal"},
            "gelu loses": {"digits, transformer": "too few seeds"},
        }),
        judged("y", {"gelu wins": {"image_folder, cnn": "inconclusive"}}),
    ])  # fmt: skip
    notes: list[str] = []
    table = script.table(claims, notes, links=True)
    assert list(table) == ["claim", "digits: MLP", "CNN", "Transf.", "CIFAR-10: CNN", "source"]
    first, second = table.to_numpy().tolist()
    assert notes == ["he | glorot"]
    assert first == [
        "gelu wins (1)", "[✓✗](x/report.md)", "[=](x/report.md)", "", "[?](y/report.md)", "One & Two 2016",
    ]  # fmt: skip
    assert second == ["gelu loses", "", "", "[–](x/report.md)", "", "One & Two 2016"]


def test_the_headline_counts_claims_and_not_verdicts(script: ModuleType) -> None:
    found = {
        "a": {"digits, mlp": "supported", "digits, cnn": "supported"},
        "b": {"digits, mlp": "supported", "digits, cnn": "inconclusive"},
        "c": {"digits, mlp": "supported", "digits, cnn": "refuted"},
        "d": {"digits, mlp": "refuted"},
        "e": {"digits, mlp": "equal", "digits, cnn": "equal"},
        "f": {"digits, mlp": "equal", "digits, cnn": "inconclusive"},
    }
    others = judged("y", {"g": {"digits, mlp": "supported"}, "h": {}}, testable="no", reason="it is larger")
    costs = judged("z", {"i": {"digits, mlp": "supported"}}, kind="cost", metric="activation_ns", testable=None)
    blocks = script.document(script.collect([judged("x", found), others, costs]), links=False)
    text = blocks[1].text
    assert text.startswith(
        "**Of 7 claims, 2 are supported in every task in which they were tested, 1 in some and refuted in none; 2 are "
        "refuted in at least one (1 of these supported in another), 1 make no difference beyond the margin in any, and "
        "1 are undecided.**"
    )
    assert text.endswith(
        " This design can test the source of 6 claims (1 of them supported in every task), in part that of 0 (0), and "
        "not that of 1 (1). 1 more have no result yet."
    )


def test_the_same_words_are_the_same_claim() -> None:
    known: dict[str, tuple[str, Hypothesis]] = {}
    for experiment, hypothesis in CLAIMS:
        name, other = known.setdefault(hypothesis.claim, (experiment.name, hypothesis))
        if other is not hypothesis:
            assert name != experiment.name
            ignored = {"source": None}
            assert other.model_copy(update=ignored) == hypothesis.model_copy(update=ignored)
    assert all(hypothesis.testable for _, hypothesis in CLAIMS if hypothesis.kind == "claim")


def with_a_verdict_everywhere(experiment: Experiment, digits: PreparedData) -> pd.DataFrame:
    """A verdict for each task on which a hypothesis of the experiment is asked."""
    grid = compose_experiment(experiment, [])
    texts = dataclasses.replace(digits, kind="text", name="shakespeare", metric="bits_per_character", validation=288)
    sequences = dataclasses.replace(digits, kind="sequences", name="adding", metric="r2")
    data = {"shakespeare": texts, "adding": sequences}
    runs = [
        make_run(point.at(rate, 0), data.get(point.dataset.name, digits), "compare")
        for point in grid.runs
        for rate in learning_rates(point, grid.command.protocol)
    ]
    frame = runs_frame([missing_result(run, "cpu") for run in runs]).assign(chosen=True)
    frame["dataset"] = frame["dataset"].replace({"cifar10": "image_folder"})
    verdicts = itertools.cycle(["supported", "refuted", "equal", "inconclusive"])
    rows = []
    for hypothesis in experiment.hypotheses:
        asked = asked_runs(hypothesis, frame)
        if hypothesis.rates != "every":
            asked = asked.loc[labelled(frame).drop_duplicates(["task", "series", "seed"]).index]
        rows += [(hypothesis.claim, task, next(verdicts)) for task, _, _ in tasks_of(hypothesis, asked)]
    return pd.DataFrame(rows, columns=["claim", "task", "verdict"])


@pytest.mark.slow
def test_the_table_of_all_claims_is_short(script: ModuleType, digits: PreparedData, tmp_path: Path) -> None:
    """With a verdict at every scale; definitions and costs come after the claims."""
    scales = [
        scale
        for experiment in EXPERIMENTS
        if experiment.hypotheses
        for scale in (experiment, *([load_experiment(f"{experiment.name}_full")] if experiment.full else []))
    ]
    claims = script.collect([(scale, with_a_verdict_everywhere(scale, digits)) for scale in scales])
    places = {place for claim in claims for place in claim.marks}
    assert {("digits", "mlp"), ("mnist", "cnn"), ("image_folder", "cnn"), ("shakespeare", "decoder")} < places
    assert places < set(script.PLACES)
    made = pdf(script.document(claims, links=False), tmp_path)
    (tmp_path / "claims.pdf").write_bytes(made)
    pages = re.findall(rb"/Type\s*/Pages.*?/Count (\d+)", made, re.DOTALL)
    assert [int(count) for count in pages] == [4]
    counted = [claim for claim in claims if claim.hypothesis.kind == "claim"]
    alone = pdf(script.document(counted, links=False), tmp_path)
    assert re.findall(rb"/Type\s*/Pages.*?/Count (\d+)", alone, re.DOTALL) == [b"3"]
