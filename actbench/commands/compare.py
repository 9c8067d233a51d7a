"""What each subcommand of the command line does. Heavy imports: cli.py loads this only when one is carried out."""

import os
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from actbench.commands.progress import print_runs
from actbench.commands.session import Command
from actbench.data.datasets import SOURCES, PreparedData, prepare_data
from actbench.errors import UsageError
from actbench.execution.devices import choose_device, worker_count
from actbench.execution.local import Pool
from actbench.experiment.compose import allow_modules_of_current_folder, compose_grid, composed_yaml, single_config
from actbench.experiment.evaluation import EVALUATIONS, evaluation_interval
from actbench.experiment.protocol import (
    check_grid,
    choose_rate,
    confirming_configs,
    grown_rates,
    learning_rates,
    tuning_configs,
)
from actbench.experiment.questions import Hypothesis, load_experiment
from actbench.experiment.request import Request
from actbench.experiment.runs import Run, make_run
from actbench.experiment.schema import Config, from_mapping
from actbench.report.numbers import count
from actbench.signals import deferred_signals
from actbench.store.files import (
    RUNS,
    VERDICTS,
    costs_frame,
    read_hypotheses,
    read_runs,
    read_series,
    results_folder,
    runs_frame,
    write_table,
)
from actbench.store.provenance import command_line, revision, versions
from actbench.store.reader import Store
from actbench.training.cost import measure_step_costs
from actbench.training.results import Result, missing_result

FAILED = 1  # exit code: some run failed


def prepared_data(points: Sequence[Config]) -> dict[object, PreparedData]:
    """Each distinct data set, checked and cached."""
    found: dict[object, PreparedData] = {}
    for point in points:
        dataset = point.dataset
        key = (dataset.name, dataset.root, dataset.image_size)
        if key not in found:
            found[key] = prepare_data(dataset.name, dataset.root, dataset.download, dataset.image_size)
    return found


def make_runs(points: Sequence[Config], data: dict[object, PreparedData], phase: str) -> list[Run]:
    return [make_run(p, data[(p.dataset.name, p.dataset.root, p.dataset.image_size)], phase) for p in points]


def _one_of_all(points: Sequence[Config], group: str) -> None:
    if len({getattr(point, group) for point in points}) > 1:
        raise UsageError(f"{group} must be the same for all runs of a command; run one command for each")


def run_command(kind: str, experiment: str | None, overrides: Sequence[str], config_dir: str | None) -> int:
    """train, sweep or compare: from overrides to results. Returns the exit code."""
    allow_modules_of_current_folder()
    loaded = load_experiment(experiment) if experiment else None
    points = compose_grid([*(loaded.overrides if loaded else ()), *overrides], config_dir)
    if kind == "train" and len(points) > 1:
        raise UsageError(f"train does one run, these overrides make {len(points)}; use `actbench sweep`")
    question = loaded.question if loaded else f"A {kind} of the command line."
    hypotheses = loaded.hypotheses if loaded else ()
    return _finish(_carried_out(kind, loaded.name if loaded else kind, question, points, overrides, hypotheses))


def train_one(mapping: Mapping[str, object]) -> float | None:
    """One run from a composed configuration, for Hydra's own application; its validation accuracy.

    Raises UsageError, or RuntimeError where the run failed.
    """
    allow_modules_of_current_folder()
    command = _carried_out("train", "train", "A train of the command line.", [from_mapping(mapping)], [])
    if _finish(command):
        raise RuntimeError("the run did not finish")
    accuracy = command.results[command.plan[0].id].row["val_accuracy"]
    return None if accuracy is None else float(accuracy)


def _each(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))


def _carried_out(
    kind: str, name: str, question: str, points: Sequence[Config], overrides: Sequence[str],
    hypotheses: Sequence[Hypothesis] = (),
) -> Command:  # fmt: skip
    """Everything is checked before the first worker starts: grid, device, data, functions, folder, store."""
    if kind == "compare":
        check_grid(points)
    for group in ("execution", "store", "protocol"):
        _one_of_all(points, group)
    device = choose_device(points[0].execution)
    if device == "cpu" and any(point.training.precision == "tf32" for point in points):
        raise UsageError("training.precision=tf32: only CUDA devices have it; take fp32 or bf16")
    data = prepared_data(points)
    runs = make_runs(points, data, kind)
    if kind == "compare":
        tuning = [tuning_configs(point, learning_rates(point)) for point in points]
        runs = make_runs([config for own in tuning for config in own], data, "tune")
        from actbench.analysis.hypotheses import check_hypotheses  # its libraries take half a second

        check_hypotheses(hypotheses, runs_frame([missing_result(run, device) for run in runs]))
    folder = results_folder(name)
    workers = 1 if len(runs) == 1 else min(worker_count(points[0].execution, device), len(runs))
    tags = {
        "experiment": name, "question": question, "command": command_line(), "overrides": " ".join(overrides),
        "baseline": points[0].protocol.baseline, "margin": str(points[0].protocol.margin),
        "target": _each(point.training.target for point in points),
        "batch_size": _each(point.training.batch_size for point in points),
        "evaluate_every": _each(
            evaluation_interval(run.config.training.evaluate_every, run.steps, EVALUATIONS) for run in runs
        ),
        "revision": str(revision()),
        **{f"version.{package}": number for package, number in versions().items()},
    }  # fmt: skip
    with Pool(device, workers) as pool:
        command = Command(kind, name, tags, pool, points[0].store.uri, folder, hypotheses=hypotheses)
        try:
            if kind == "compare":
                _compare(command, points, data)
            else:
                command.carry_out(runs, kind)
        except KeyboardInterrupt:
            _interrupted(command)
            raise
        return command


def _compare(command: Command, points: Sequence[Config], data: dict[object, PreparedData]) -> None:
    found: list[list[Result]] = [[] for _ in points]

    def tune(rates: Sequence[Sequence[float]], title: str) -> list[float]:
        runs = [make_runs(tuning_configs(p, own), data, "tune") for p, own in zip(points, rates, strict=True)]
        command.carry_out([run for own in runs for run in own], title)
        for kept, own in zip(found, runs, strict=True):
            kept += [command.results[run.id] for run in own]
        return [choose_rate([result.row for result in kept]) for kept in found]

    chosen = tune([learning_rates(point) for point in points], "tune")
    more = grown_rates(points, chosen)
    if any(more):
        chosen = tune(more, "tune beyond the grid's ends")
    confirming = [
        config for point, rate in zip(points, chosen, strict=True) for config in confirming_configs(point, rate)
    ]
    runs = make_runs(confirming, data, "confirm")
    command.carry_out(runs, "confirm")
    command.costs = _costs(command, runs[:: points[0].protocol.seeds])


def _costs(command: Command, runs: Sequence[Run]) -> pd.DataFrame:
    """Of the activation of each of these runs: as the store holds them, or measured now that nothing trains."""
    held = command.store.costs({run.id for run in runs})
    if held is not None:
        return held
    try:
        costs = costs_frame(command.pool.call(measure_step_costs, runs, command.pool.device))
    except RuntimeError as error:
        print(f"costs could not be measured: {error}", flush=True)
        return costs_frame([])
    medians = costs.drop(columns="round").groupby("run_id").median().to_dict("index")
    with deferred_signals():
        command.begun().measured({str(id): {str(k): float(v) for k, v in own.items()} for id, own in medians.items()})
    return costs


def _finish(command: Command) -> int:
    """Files and store first, the terminal last: a closed pipe loses nothing."""
    if command.kind == "compare":
        from actbench.analysis.pairs import comparisons
        from actbench.report.report import write_report  # its libraries take a second
        from actbench.report.sentences import answer, comparison_note
    with deferred_signals():
        ended = command.mirror()
        frame = runs_frame(ended)
        failures = [result for result in ended if result.error is not None]
        note = command.tags["question"]
        if command.kind == "compare":
            request = Request.from_tags(command.tags)
            found = list(comparisons(frame, command.costs, request))
            answers = [answer(comparison) for comparison in found]
            note = comparison_note(command.tags["question"], found)
            judged = _judged(command.folder, command.hypotheses, frame, command.costs)
            written = write_report(command.folder, found, frame, read_series(command.folder), request, judged)
        stored = True
        if command.trained or command.kind == "compare":
            stored = command.end("FAILED" if failures else "FINISHED", note)
    print_runs(frame[frame["phase"] == "confirm"] if command.kind == "compare" else frame)
    if command.kind == "compare":
        wrapped = [textwrap.fill(f"- {line}", 100, subsequent_indent="  ") for line in answers]
        print("\n".join(["", *wrapped, "", f"report: {', '.join(map(str, written))}"]))
    if not command.trained:
        print("nothing to train: every run was found finished in the store")
    place = f" and in {command.store.uri}, experiment {command.experiment}" if stored else ""
    print(f"{count(len(ended), 'run')} in {command.folder}{os.sep}{place}")
    for result in failures:
        label = result.run.config.activation.label
        print(f"failed: run {result.run.id} ({label}, seed {result.run.config.seed}): {result.error}")
    if not stored:
        print(
            f"not in {command.store.uri} yet, as it is away: what it lacks is kept in {command.begun().kept}, and the "
            "next command on this store in this folder writes it"
        )
    return FAILED if failures or not stored else 0


def _judged(folder: Path, hypotheses: Sequence[Hypothesis], runs: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """The verdicts on an experiment's hypotheses, and where it has any, their file."""
    from actbench.analysis.hypotheses import judge_hypotheses

    judged = judge_hypotheses(hypotheses, runs, costs)
    if hypotheses:
        write_table(folder / VERDICTS, judged)
    return judged


def _interrupted(command: Command) -> None:
    with deferred_signals():  # a second Ctrl-C must not cost what the first one kept
        if command.parent is not None:
            command.mirror()
            command.end("KILLED", command.tags["question"])
    print(f"\n{len(command.results)} finished runs are kept; the same command goes on from there", flush=True)


def write_report(experiment: str, formats: Sequence[str], overrides: Sequence[str]) -> int:
    """Write the report of the newest ended comparison again, from the store alone."""
    from actbench.analysis.pairs import comparisons
    from actbench.report.report import FORMATS, write_report

    for name in formats:
        if name not in FORMATS:
            raise UsageError(f"--format {name}: not known; there are: {', '.join(FORMATS)}")
    loaded = load_experiment(experiment)
    store = Store(single_config(overrides).store.uri, loaded.name, create=False)
    folder = results_folder(loaded.name)
    tags = store.restore("compare", folder)
    rows, points = read_runs(folder / RUNS), read_series(folder)
    request = Request.from_tags(tags)
    found = list(comparisons(rows, points["costs"], request))
    judged = _judged(folder, read_hypotheses(folder), rows, points["costs"])
    written = write_report(folder, found, rows, points, request, judged, formats)
    print("\n".join(map(str, written)))
    return 0


def print_config(experiment: str | None, overrides: Sequence[str], config_dir: str | None) -> int:
    loaded = load_experiment(experiment) if experiment else None
    lines = [*(loaded.overrides if loaded else ()), *overrides]
    compose_grid(lines, config_dir)  # what is wrong is said here too
    print(composed_yaml(lines, config_dir), end="")
    return 0


def run_data(action: str, names: Sequence[str], overrides: Sequence[str]) -> int:
    """fetch: download what is missing and check it. check: without the network."""
    chosen = list(names) or [name for name in SOURCES if name != "image_folder"]
    errors: list[UsageError] = []
    for config in [single_config([f"dataset={name}", *overrides]).dataset for name in chosen]:
        try:
            prepared = prepare_data(config.name, config.root, action == "fetch", config.image_size)
        except UsageError as error:
            if len(chosen) == 1:
                raise
            errors.append(error)
            print(error)
            continue
        print(
            f"{prepared.name}: {prepared.train} training and {prepared.test} test images, "
            f"{prepared.height}x{prepared.width}x{prepared.channels}, {prepared.classes} classes, whole "
            f"(fingerprint {prepared.fingerprint})"
        )
    if errors:
        raise UsageError(f"{len(errors)} of {len(chosen)} data sets are not here")
    return 0
