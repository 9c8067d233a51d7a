"""`actbench report`, and writing reports from the files of results/<experiment>/."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actbench.errors import UsageError, nearest_names
from actbench.experiment.compose import compose_command
from actbench.experiment.questions import Hypothesis, load_experiment
from actbench.experiment.request import Request
from actbench.signals import write_json
from actbench.store.copies import newest_copy
from actbench.store.damage import check_compared, whole_file
from actbench.store.examples import unpacked_examples
from actbench.store.files import (
    ANSWER,
    EXAMPLES,
    PAIRS,
    REQUEST,
    RUNS,
    SCORES,
    VERDICTS,
    holds_comparison,
    read_hypotheses,
    read_runs,
    read_series,
)
from actbench.store.folder import folder_lock, results_folder
from actbench.store.places import holder_of
from actbench.store.provenance import read_environment
from actbench.store.tables import write_table

if TYPE_CHECKING:
    import pandas as pd

    from actbench.analysis.pairs import Comparison
    from actbench.report.draw import Make


@dataclass(frozen=True)
class Reports:
    """The reports that were written.

    compared: of each task. answers: over all tasks, a line of Markdown per claim and per task, the conditions. note: a
    summary for MLflow. verdicts: as `verdicts_table`.
    """

    compared: "Sequence[Comparison]"
    paths: Sequence[Path]
    answers: Sequence[str]
    note: str
    verdicts: "pd.DataFrame | None"


@dataclass(frozen=True)
class Compared:
    """The files of a comparison's results folder, and what follows from them.

    series: as `read_series`. comparisons: of each task. verdicts: of the hypotheses.
    environment: of environment.json.
    """

    folder: Path
    request: Request
    runs: "pd.DataFrame"
    series: "Mapping[str, pd.DataFrame]"
    comparisons: "Sequence[Comparison]"
    hypotheses: Sequence[Hypothesis]
    verdicts: "pd.DataFrame"
    environment: Mapping[str, Any]


def read_comparison(folder: Path, request: Request) -> Compared:
    """Reads and judges a comparison. Raises UsageError where a file is damaged."""
    from actbench.analysis.hypotheses import judge_hypotheses  # these libraries take a second
    from actbench.analysis.pairs import comparisons

    runs, series, hypotheses = read_runs(folder / RUNS), read_series(folder), read_hypotheses(folder)
    with whole_file(folder / RUNS):
        check_compared(runs)
    with whole_file(folder / EXAMPLES):
        examples = unpacked_examples(series["examples"])
    compared = list(comparisons(runs, series["costs"], request, examples))
    verdicts = judge_hypotheses(
        hypotheses, runs, series["costs"], request.margin, request.margins, request.worst
    )  # fmt: skip
    return Compared(folder, request, runs, series, compared, hypotheses, verdicts, read_environment(folder))


def written_folder(name: str) -> Path:
    """results/<name>/ where a command has written it. Raises UsageError."""
    folder = Path("results") / name
    if not (folder / RUNS).is_file():
        there = written_names()
        near = nearest_names(name, there) if there else ""
        hint = f"run the command that writes it, or `actbench report {name}`, which restores it from the store"
        raise UsageError(f"{folder}: holds no {RUNS}{near or f'; {hint}'}")
    return folder


def written_names() -> list[str]:
    """The folders in results/ that commands have written."""
    return sorted(path.parent.name for path in Path("results").glob(f"[!.]*/{RUNS}"))


def _results_name(name: str, uri: str) -> str:
    """The name of results, by which a later plan of an experiment has a folder too, or of an experiment's file.

    Raises UsageError where there is neither.
    """
    try:
        return load_experiment(name).name
    except UsageError:
        if Path(name).name == name and holder_of(name, uri) is not None:
            return name
        raise


def read_request(folder: Path) -> Request:
    """What the command of a results folder was asked. Raises UsageError where an older version wrote the folder."""
    path = folder / REQUEST
    if not path.is_file():
        raise UsageError(f"{folder}: holds no {REQUEST}, as it is of an older version; run the command again")
    with whole_file(path):
        return Request.from_tags(json.loads(path.read_text(encoding="utf-8")))


def write_reports(folder: Path, request: Request, formats: Sequence[str] | None = None, pairs: bool = False) -> Reports:
    """Writes report.*, figures/, answer.json and scores.csv from the files in `folder`.

    For an experiment with hypotheses also verdicts.csv. formats: of report.FORMATS; all by default. pairs: also the
    differences of all pairs of activations, in the report and as pairs.csv.
    """
    from actbench.report.answers import answer_document, pairs_frame, scores_frame
    from actbench.report.formats.blocks import FIGURES
    from actbench.report.front import DIFFERENCES, conditions
    from actbench.report.headline import claim_lines, comparison_note, full_answer
    from actbench.report.report import FORMATS, write_report
    from actbench.report.sentences import answers
    from actbench.report.tables import verdicts_table

    found = read_comparison(folder, request)
    compared, verdicts, environment = found.comparisons, found.verdicts, found.environment
    if found.hypotheses:
        write_table(folder / VERDICTS, verdicts)
    write_table(folder / SCORES, scores_frame(compared))
    write_json(folder / ANSWER, answer_document(compared, verdicts, request, environment.get("seconds")))
    (folder / PAIRS).unlink(missing_ok=True)  # of an earlier command
    if pairs:
        write_table(folder / PAIRS, pairs_frame(compared))
    paths = write_report(
        folder, compared, found.runs, found.series, request, verdicts, environment, formats or FORMATS, pairs
    )  # fmt: skip
    lines = [full_answer(compared, verdicts), *claim_lines(verdicts), *answers(compared)]
    lines.append(conditions(compared, request, environment))
    figure = f"{FIGURES}/{DIFFERENCES}.svg"  # MLflow shows a PNG at its full size in pixels, which is too wide
    note = comparison_note(request, compared, verdicts, figure)
    return Reports(compared, paths, lines, note, verdicts_table(compared))


def write_sweep_report(folder: Path, request: Request, formats: Sequence[str] | None = None) -> list[Path]:
    """Writes report.* and figures/ of a sweep from the files in `folder`; returns the paths, none without results.

    formats: of report.FORMATS; those of `report.sweep` by default.
    """
    from actbench.report.sweep import FORMATS, write_sweep  # these libraries take a second

    runs, curves = read_runs(folder / RUNS), read_series(folder)["curves"]
    return write_sweep(folder, runs, curves, request, read_environment(folder), formats or FORMATS)


def written_reports(folder: Path, request: Request, formats: Sequence[str], pairs: bool = False) -> Sequence[Path]:
    """Writes the report of a comparison or a sweep; returns its paths. Raises UsageError where there is nothing."""
    if holds_comparison(folder):
        return write_reports(folder, request, formats, pairs).paths
    if pairs:
        raise UsageError(f"{folder}: is of a sweep, which has no pairs; use compare")
    if paths := write_sweep_report(folder, request, formats):
        return paths
    raise UsageError(f"{folder}: holds no run that finished")


def chosen_activations(found: Compared, activations: Sequence[str]) -> Compared:
    """A comparison with these activations and the baseline alone; verdicts stay those of the whole. Empty: all."""
    if not activations:
        return found
    check_activations(activations, [name for comparison in found.comparisons for name in comparison.ranking])
    return replace(found, comparisons=[comparison.only(activations) for comparison in found.comparisons])


def check_activations(activations: Sequence[str], known: Sequence[str]) -> None:
    """Raises UsageError for a name that is not known here."""
    for name in activations:
        if name not in known:
            raise UsageError(f"--activations: no {name} here{nearest_names(name, list(dict.fromkeys(known)))}")


def figure_makers(found: Compared) -> "dict[str, Make]":
    """What draws each figure of the report, by name."""
    from actbench.analysis.labels import compared_runs, labelled
    from actbench.report.draw import collector
    from actbench.report.report import document

    makers: dict[str, Make] = {}
    runs = labelled(compared_runs(found.runs))
    for _ in document(
        found.comparisons,
        runs,
        found.series,
        found.request,
        found.verdicts,
        found.environment,
        collector(makers),
        False,
    ):
        pass
    return makers


def front_html(found: Compared) -> str:
    """The first page of the report as a page of HTML; its figure is drawn where the folder has none."""
    from actbench.report.draw import drawn
    from actbench.report.formats.documents import html_page
    from actbench.report.front import front_page

    draw = drawn(found.folder)
    blocks = list(front_page(found.comparisons, found.verdicts, found.request, found.environment, draw))
    return html_page(blocks, found.folder)


Restore = Callable[[Path], Request]


def restorer(uri: str, experiment: str) -> Restore:
    """Writes the files of the newest ended comparison of an experiment from the store's copy to a folder that exists.

    Of an experiment without one those of the newest sweep. Raises UsageError where the store is missing, at once, or
    has none.
    """
    copy = newest_copy(uri, experiment, "compare") or newest_copy(uri, experiment, "sweep")
    if copy is None:
        from actbench.store.reader import Store  # imports MLflow, which takes seconds

        store = Store(uri, experiment, create=False)
        kind = "sweep" if store.has_ended("sweep") and not store.has_ended("compare") else "compare"
        restore: Callable[[Path], dict[str, str]] = partial(store.restore, kind)
    else:
        restore = copy.restore

    def restored(folder: Path) -> Request:
        request = Request.from_tags(restore(folder))
        write_json(folder / REQUEST, request.to_tags())
        return request

    return restored


def report(name: str, formats: Sequence[str], overrides: Sequence[str], pairs: bool = False) -> int:
    """Writes the reports of the newest ended comparison or sweep again, from the store's copy of its files.

    Raises UsageError where a command that is running will write this folder: it may run for hours, and reports itself.
    """
    from actbench.report.report import FORMATS

    for suffix in formats:
        if suffix not in FORMATS:
            raise UsageError(f"--format {suffix}: not known; there are: {', '.join(FORMATS)}")
    uri = compose_command(overrides).store.uri
    results = _results_name(name, uri)
    restore = restorer(uri, results)
    folder = results_folder(results)
    with folder_lock(folder, "report", wait=False):
        paths = written_reports(folder, restore(folder), formats, pairs)
    print("\n".join(map(str, paths)))
    return 0
