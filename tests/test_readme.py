"""The numbers of README and of the documentation are those of the files that a command makes."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from actbench.experiment.scores import METRICS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
FOUND, SPEED, METHOD = (
    (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("found", "benchmark", "method")
)
REFERENCE = ROOT / "results" / "reference"


def answer(name: str) -> dict[str, object]:
    content: dict[str, object] = json.loads((REFERENCE / name / "answer.json").read_text(encoding="utf-8"))
    return content


def test_the_first_answer_is_the_quickstarts() -> None:
    assert f"\n> {answer('quickstart')['answer']}\n" in TEXT
    runs = len(pd.read_csv(REFERENCE / "quickstart" / "runs.csv"))
    assert f"from {runs} runs;" in TEXT


@pytest.mark.parametrize(
    "line", [line for line in FOUND.splitlines() if line.startswith("| [") and "report.md" in line]
)
def test_what_was_found_is_in_the_answers(line: str) -> None:
    """Lines of `| [question](../results/reference/NAME/report.md) | baseline's score in each task | answer |`."""
    _, link, scores, found, _ = (part.strip() for part in line.split("|"))
    match = re.search(r"\(\.\./(results/reference/\S+)/report.md\)", link)
    assert match is not None
    content = json.loads((ROOT / match[1] / "answer.json").read_text(encoding="utf-8"))
    expected = []
    for task in content["tasks"]:
        own = task["activations"][task["baseline"]]
        metric = next(metric for metric in METRICS.values() if metric.column == task["metric"])
        ends = sorted((metric.cell(own["low"]), metric.cell(own["high"])))
        expected.append(f"{metric.finer(own['score'])} [{', '.join(ends)}]")
    assert scores == "; ".join(expected)
    assert found == content["answer"]


def test_the_speeds_are_medians_of_the_benchmark() -> None:
    speeds = pd.read_csv(ROOT / "results" / "benchmarks" / "throughput.csv")
    medians = speeds[speeds["part"] == "MLP"].groupby("what")["value"].median()
    table = re.findall(
        r"^\| [^|]+ \| (\d+) \|$", SPEED.split("| way | seconds |", 1)[1].split("\n\n", 1)[0], re.MULTILINE
    )
    ways = ("A", "B", "C", "C_eval", "actbench")
    assert [int(number) for number in table] == [round(medians[f"{way}: seconds"]) for way in ways]
    ratio = speeds.loc[speeds["part"].eq("MLP on digits") & speeds["what"].eq("actbench over C_eval"), "value"].median()
    assert f"1,050 runs on digits take {1 / ratio:.2f} of that loop's time" in " ".join(SPEED.split())


def test_the_calibration_is_that_of_its_page() -> None:
    prose = " ".join(METHOD.split())
    page = (REFERENCE / "calibration.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")]
    alone = {(row[0], row[1]): row[4].split(" %")[0] for row in rows if len(row) == 9 and row[2] == "9"}
    assert (
        f"finds p at most 0.05 in {alone['mlp_small', '2']} % (MLP) and {alone['cnn_small', '2']} % (CNN) of 240 "
        f"comparisons of 9 seeds, and in {alone['mlp_small', '12']} % of 40 among twelve names in both"
    ) in prose
    assert alone["mlp_small", "12"] == alone["cnn_small", "12"]
    different = {(row[0], row[1]): row[5].split(" %")[0] for row in rows if len(row) == 9 and row[2] == "9"}
    assert different["mlp_small", "2"] == different["cnn_small", "2"]
    assert (
        f"it calls ReLU different from itself in {different['mlp_small', '2']} % and, among twelve names, never"
        in prose
    )
    assert {different["mlp_small", "12"], different["cnn_small", "12"]} == {"0.0"}
    coverage = {(row[0], row[2]): row[5].split(" %")[0] for row in rows if len(row) == 8 and row[1] == "ReLU to itself"}
    whole = {key: round(float(value)) for key, value in coverage.items()}
    low, high = sorted([whole["mlp_small", "6"], whole["cnn_small", "6"]])
    assert {whole["mlp_small", "9"], whole["cnn_small", "9"]} == {96}
    assert f"The intervals cover 96 % of the time ({low} to {high} % at 6 seeds)" in prose
    power = sorted(round(float(row[3].removesuffix(" %"))) for row in rows if len(row) == 5 and row[1] == "9")
    assert f"a difference of 1 point is found in {power[0]} to {power[1]} % of the repetitions" in prose
