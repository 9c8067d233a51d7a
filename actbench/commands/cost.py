"""`actbench cost`: what activations cost on this device."""

import os
from collections.abc import Sequence

import torch

from actbench.activations import table
from actbench.analysis.labels import series_name
from actbench.commands.planning import make_runs, prepared_data
from actbench.commands.terminal import print_table
from actbench.data.datasets import load_data
from actbench.errors import UsageError
from actbench.execution.devices import choose_device
from actbench.execution.local import Pool
from actbench.execution.memory import check_memory
from actbench.experiment.compose import compose_grid
from actbench.experiment.runs import variants
from actbench.report.cost import FIGURE, cost_page, cost_table
from actbench.report.figures.costs import cost_figure
from actbench.report.figures.style import save_figure
from actbench.store.folder import results_folder
from actbench.store.provenance import ENVIRONMENT, command_line, write_environment
from actbench.store.tables import write_table
from actbench.training.cost import ROUNDS, cost_frame, measure_costs

TABLE, PAGE = "cost.csv", "cost.md"


def cost(overrides: Sequence[str]) -> int:
    """Measures what each activation costs on this device; all of the table where no override names one.

    Raises UsageError where a function fails while it is measured.
    """
    named = any(word.startswith("activation=") for word in overrides)
    grid = compose_grid([*overrides, *([] if named else [f"activation={','.join(table.TABLE)}"])])
    first, device = grid.runs[0], torch.device(choose_device(grid.command.execution))
    runs = make_runs(grid.runs, prepared_data(grid.runs), "sweep")
    differing = variants(runs)
    labels = [series_name(run.settings.activation.label, variant) for run, variant in zip(runs, differing, strict=True)]
    if len(set(labels)) < len(labels) or any(not key.startswith("activation.") for keys in differing for key in keys):
        raise UsageError("cost measures each activation once; let only activation and its settings differ")
    check_memory(runs, device.type)
    folder = results_folder("cost")
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # silences the log of torch's profiler
    with Pool(device.type, 1, in_process=False) as pool:
        try:
            measured = pool.call(measure_costs, labels, runs, load_data(runs[0].data), device)
        except RuntimeError as error:
            raise UsageError(f"costs could not be measured: {error}") from error
    step = (
        f"{first.architecture.name} on {first.dataset.name}, batch {first.training.batch_size}, {first.optimizer.name}"
    )
    costs = cost_frame(measured)
    write_table(folder / TABLE, costs)
    activations = {label: run.settings.activation.label for label, run in zip(labels, runs, strict=True)}
    save_figure(cost_figure(costs, activations), folder / FIGURE)
    (folder / PAGE).write_text(cost_page(costs, ROUNDS, step, command_line(), ENVIRONMENT), encoding="utf-8")
    write_environment(folder, command_line())
    print("of an output")
    print_table(cost_table(costs, spread=False))
    print("\n".join(str(folder / name) for name in (PAGE, TABLE, FIGURE, ENVIRONMENT)))
    return 0
