"""`actbench cost`: what activations cost on this device."""

import os
from collections.abc import Sequence

import torch

from actbench.activations import table
from actbench.analysis.labels import series_name
from actbench.commands.compare import make_runs, prepared_data
from actbench.commands.progress import print_table
from actbench.data.datasets import load_data
from actbench.errors import UsageError
from actbench.execution.devices import choose_device
from actbench.execution.local import Pool
from actbench.experiment.compose import allow_modules_of_current_folder, compose_grid
from actbench.experiment.runs import variants
from actbench.report.cost import FIGURE, cost_page, cost_table
from actbench.report.figures.costs import cost_figure
from actbench.report.figures.style import save_figure
from actbench.store.files import ENVIRONMENT, results_folder, write_environment, write_table
from actbench.store.provenance import command_line
from actbench.training.cost import ROUNDS, cost_frame, measure_costs

TABLE, PAGE = "cost.csv", "cost.md"


def run_cost(overrides: Sequence[str]) -> int:
    """What each activation costs on this device; all of the table where no override names one."""
    allow_modules_of_current_folder()
    named = any(word.startswith("activation=") for word in overrides)
    points = compose_grid([*overrides, *([] if named else [f"activation={','.join(table.TABLE)}"])])
    first, device = points[0], torch.device(choose_device(points[0].execution))
    runs = make_runs(points, prepared_data(points), "sweep")
    differing = [own.split() for own in variants(runs)]
    labels = [series_name(run.config.activation.label, own) for run, own in zip(runs, differing, strict=True)]
    if len(set(labels)) < len(labels) or any(not term.startswith("activation.") for own in differing for term in own):
        raise UsageError("cost measures each activation once; let only activation and its settings differ")
    folder = results_folder("cost")
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # no chatter of torch's profiler
    with Pool(device.type, 1, in_process=False) as pool:
        try:
            found = pool.call(measure_costs, labels, runs, load_data(runs[0].data), device)
        except RuntimeError as error:
            raise UsageError(f"costs could not be measured: {error}") from error
    step = (
        f"{first.architecture.name} on {first.dataset.name}, batch {first.training.batch_size}, {first.optimizer.name}"
    )
    costs = cost_frame(found)
    write_table(folder / TABLE, costs)
    save_figure(cost_figure(costs), folder / FIGURE)
    (folder / PAGE).write_text(cost_page(costs, ROUNDS, step, command_line(), ENVIRONMENT), encoding="utf-8")
    write_environment(folder, command_line())
    print("of an output")
    print_table(cost_table(costs, spread=False))
    print("\n".join(str(folder / name) for name in (PAGE, TABLE, FIGURE, ENVIRONMENT)))
    return 0
