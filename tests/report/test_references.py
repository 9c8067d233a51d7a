"""What is committed under results/reference agrees with the runs beside it."""

import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from actbench.analysis.hypotheses import judge_hypotheses
from actbench.analysis.pairs import comparisons
from actbench.experiment.compose import compose_experiment
from actbench.experiment.questions import load_experiment
from actbench.experiment.request import Request
from actbench.experiment.scores import METRICS, worst
from actbench.report.answers import answer_document
from actbench.report.formats.blocks import Table
from actbench.report.formats.documents import markdown
from actbench.report.front import conditions, front_table
from actbench.report.headline import full_answer
from actbench.report.sentences import answers, is_judged, short_names
from actbench.store.files import ANSWER, COSTS, RUNS, VERDICTS, read_costs, read_examples, read_runs
from actbench.store.provenance import read_environment

FOLDER = Path(__file__).parents[2] / "results" / "reference"
# References without answer.json are of an older protocol. The quickstart's is never one of these.
FOLDERS = sorted({FOLDER / "quickstart", *(path.parent for path in FOLDER.rglob(ANSWER))})
WORST = {"shakespeare": worst("bits_per_character", classes=65)}  # of a run that diverged, where it is not 0
LINE = re.compile(
    r"\| (?P<activation>[^|]+?)(?: \(\d+ diverged\))? \| (?P<verdict>[^|]+) \| (?P<mean>[\d.]+) "
    r"\[(?P<low>[-\d.]+), (?P<high>[\d.]+)\] \| (?:(?P<difference>[+-][\d.]+) \[[^|]+\])? \|"
)

folders = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def request_of(folder: Path) -> Request:
    """The request of a committed report, whose tags are in the store that made it."""
    grid = compose_experiment(load_experiment(folder.name), [])
    environment = read_environment(folder)
    overrides = " ".join(str(environment["command"]).split()[3:])
    content = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
    training = [run.training for run in grid.runs]
    return Request(
        folder.name, "", "", overrides, grid.command.protocol.baseline, grid.command.protocol.margin,
        tuple(dict.fromkeys(own.target for own in training if own.target is not None and own.target_loss is None)),
        tuple(dict.fromkeys(own.batch_size for own in training)),
        target_losses=tuple(dict.fromkeys(own.target_loss for own in training if own.target_loss is not None)),
        versions=environment["versions"],
        test_sizes={task["task"].split(", ")[0]: task["n_test"] for task in content["tasks"]},
        margins={metric: grid.command.protocol.margin_of(metric) for metric in METRICS}, worst=WORST,
    )  # fmt: skip


def chosen_scores(folder: Path, task: str) -> pd.DataFrame:
    """Test scores of a task at the chosen rates, a column an activation, a row a seed; what diverged is the worst."""
    runs = pd.read_csv(folder / RUNS, keep_default_na=False, na_values={"test_accuracy": [""], "score": [""]})
    runs["score"] = runs.get("score", runs["test_accuracy"])  # older files have accuracies alone
    dataset, architecture, *others = task.split(", ")
    asked = runs["chosen"].astype(str).eq("True") & runs["dataset"].eq(dataset) & runs["architecture"].eq(architecture)
    for term in others:
        has_term = runs["variant"].str.split().map(lambda terms, term=term: term in terms)
        asked &= has_term | runs["initialization"].eq(term) | runs["optimizer"].eq(term)
    settings = runs["variant"].str.findall(r"activation\.(\S+)").str.join(" ")  # of an activation, where they vary
    runs["activation"] = (runs["activation"] + " " + settings).str.strip()
    return runs[asked].pivot(index="seed", columns="activation", values="score")


@folders
def test_every_number_of_the_scores_is_in_the_runs(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    content = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
    assert content["tasks"]
    names = short_names([task["task"] for task in content["tasks"]])
    for task in content["tasks"]:
        metric = next(own for own in METRICS.values() if own.column == task["metric"])
        scores = chosen_scores(folder, task["task"])
        scores = scores.fillna(WORST.get(task["task"].split(", ")[0], 0.0))
        means = metric.factor * scores.mean()
        close = 0.51 * 10 ** -metric.digits[1]
        caption = f"\n{names[task['task']]}, {task['n']} seeds.\n\n"
        lines = list(LINE.finditer(text.split(caption, 1)[1].split("\n\n", 1)[0]))
        assert {line["activation"] for line in lines} == set(scores) == set(task["activations"])
        assert [line["activation"] for line in lines] == list(task["activations"])
        for line in lines:
            name, own = line["activation"], task["activations"][line["activation"]]
            assert len(scores) == task["n"]
            assert float(line["mean"]) == pytest.approx(means[name], abs=close)
            assert metric.factor * own["score"] == pytest.approx(means[name])
            assert float(line["low"]) <= float(line["mean"]) <= float(line["high"])
            assert line["verdict"] == own["verdict"]
            if name != task["baseline"]:
                difference = metric.scale * (scores[name] - scores[task["baseline"]]).mean()
                assert float(line["difference"]) == pytest.approx(difference, abs=close)
                assert metric.scale * own["difference"] == pytest.approx(difference)


@pytest.mark.slow
@folders
def test_the_answers_follow_from_the_runs_and_costs_beside_them(folder: Path) -> None:
    request, text = request_of(folder), (folder / "report.md").read_text(encoding="utf-8")
    runs, costs = read_runs(folder / RUNS), read_costs(folder / COSTS)
    compared = list(comparisons(runs, costs, request, read_examples(folder)))
    for line in answers(compared):
        assert f"- {line}\n" in text
    conditions_line = conditions(compared, request, read_environment(folder))
    assert f"\n*{conditions_line}*\n" in text
    with_verdicts = [comparison for comparison in compared if is_judged(comparison)]
    assert not with_verdicts or markdown([Table(front_table(with_verdicts, request))]).strip() in text
    hypotheses = load_experiment(folder.name).hypotheses
    judged = judge_hypotheses(hypotheses, runs, costs, request.margin, request.margins, request.worst)
    assert f"\n**{full_answer(compared, judged)}**\n" in text
    again = json.loads(json.dumps(answer_document(compared, judged, request, None)))
    committed = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
    assert (again["answer"], again["hypotheses"]) == (committed["answer"], committed["hypotheses"])
    for task, written in zip(again["tasks"], committed["tasks"], strict=True):
        assert {key: task[key] for key in ("task", "take", "avoid", "undecided", "fastest", "sentence")} == {
            key: written[key] for key in ("task", "take", "avoid", "undecided", "fastest", "sentence")
        }
        for name, own in task["activations"].items():
            known = written["activations"][name]
            assert {key: value for key, value in own.items() if not isinstance(value, float)} == {
                key: value for key, value in known.items() if not isinstance(value, float)
            }
            numbers = {key: value for key, value in own.items() if isinstance(value, float)}
            assert numbers == pytest.approx({key: known[key] for key in numbers}, rel=1e-9, abs=1e-12)


@pytest.mark.slow
@folders
def test_every_verdict_follows_from_the_runs_beside_it(folder: Path) -> None:
    hypotheses, request = load_experiment(folder.name).hypotheses, request_of(folder)
    assert (folder / VERDICTS).exists() == bool(hypotheses)
    if not hypotheses:
        return
    runs, costs = read_runs(folder / RUNS), read_costs(folder / COSTS)
    judged = judge_hypotheses(hypotheses, runs, costs, request.margin, request.margins, request.worst)
    again = io.StringIO(judged.to_csv(index=False))
    committed = pd.read_csv(folder / VERDICTS)
    pd.testing.assert_frame_equal(pd.read_csv(again)[list(committed)], committed, check_dtype=False, rtol=1e-9)
