"""`actbench report`, and writing reports from the files of results/<experiment>/."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from actbench.errors import UsageError
from actbench.experiment.compose import compose_command
from actbench.experiment.questions import load_experiment
from actbench.experiment.request import Request
from actbench.signals import write_json
from actbench.store.copies import newest_copy
from actbench.store.damage import check_compared, whole_file
from actbench.store.examples import unpacked_examples
from actbench.store.files import (
    ANSWER,
    EXAMPLES,
    PAIRS,
    RUNS,
    SCORES,
    VERDICTS,
    read_hypotheses,
    read_runs,
    read_series,
)
from actbench.store.folder import folder_lock, results_folder
from actbench.store.provenance import read_environment
from actbench.store.tables import write_table

if TYPE_CHECKING:
    from actbench.analysis.pairs import Comparison


@dataclass(frozen=True)
class Reports:
    """The reports that were written.

    compared: of each task. answers: over all tasks, a line of Markdown per claim and per task, the conditions. note: a
    summary for MLflow.
    """

    compared: "Sequence[Comparison]"
    paths: Sequence[Path]
    answers: Sequence[str]
    note: str


def write_reports(folder: Path, request: Request, formats: Sequence[str] | None = None, pairs: bool = False) -> Reports:
    """Writes report.*, figures/, answer.json and scores.csv from the files in `folder`.

    For an experiment with hypotheses also verdicts.csv. formats: of report.FORMATS; all by default. pairs: also the
    differences of all pairs of activations, in the report and as pairs.csv.
    """
    from actbench.analysis.hypotheses import judge_hypotheses  # these libraries take a second
    from actbench.analysis.pairs import comparisons
    from actbench.report.answers import answer_document, pairs_frame, scores_frame
    from actbench.report.formats.blocks import FIGURES
    from actbench.report.front import DIFFERENCES, conditions
    from actbench.report.headline import claim_lines, comparison_note, full_answer
    from actbench.report.report import FORMATS, write_report
    from actbench.report.sentences import answers

    runs, series, hypotheses = read_runs(folder / RUNS), read_series(folder), read_hypotheses(folder)
    with whole_file(folder / RUNS):
        check_compared(runs)
    with whole_file(folder / EXAMPLES):
        examples = unpacked_examples(series["examples"])
    compared = list(comparisons(runs, series["costs"], request, examples))
    verdicts = judge_hypotheses(
        hypotheses, runs, series["costs"], request.margin, request.margins, request.worst
    )  # fmt: skip
    if hypotheses:
        write_table(folder / VERDICTS, verdicts)
    write_table(folder / SCORES, scores_frame(compared))
    environment = read_environment(folder)
    write_json(folder / ANSWER, answer_document(compared, verdicts, request, environment.get("seconds")))
    (folder / PAIRS).unlink(missing_ok=True)  # of an earlier command
    if pairs:
        write_table(folder / PAIRS, pairs_frame(compared))
    paths = write_report(folder, compared, runs, series, request, verdicts, environment, formats or FORMATS, pairs)
    lines = [full_answer(compared, verdicts), *claim_lines(verdicts), *answers(compared)]
    lines.append(conditions(compared, request, environment))
    figure = f"{FIGURES}/{DIFFERENCES}.svg"  # MLflow shows a PNG at its full size in pixels, which is too wide
    note = comparison_note(request, compared, verdicts, figure)
    return Reports(compared, paths, lines, note)


def report(name: str, formats: Sequence[str], overrides: Sequence[str], pairs: bool = False) -> int:
    """Writes the reports of the newest ended comparison again, from the store's copy of its files.

    Raises UsageError where a command that is running will write this folder: it may run for hours, and reports itself.
    """
    from actbench.report.report import FORMATS

    for suffix in formats:
        if suffix not in FORMATS:
            raise UsageError(f"--format {suffix}: not known; there are: {', '.join(FORMATS)}")
    experiment = load_experiment(name)
    uri = compose_command(overrides).store.uri
    copy = newest_copy(uri, experiment.name, "compare")
    restore: Callable[[Path], dict[str, str]]
    if copy is None:
        from actbench.store.reader import Store  # imports MLflow, which takes seconds

        restore = partial(Store(uri, experiment.name, create=False).restore, "compare")
    else:
        restore = copy.restore
    folder = results_folder(experiment.name)
    with folder_lock(folder, "report", wait=False):
        tags = restore(folder)
        paths = write_reports(folder, Request.from_tags(tags), formats, pairs).paths
    print("\n".join(map(str, paths)))
    return 0
