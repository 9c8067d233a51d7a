"""`actbench cost`: what activations cost on this device."""

import os
from collections.abc import Sequence

import torch

from actbench import compose, cost_report, datasets, devices, mirror
from actbench.activations import TABLE
from actbench.commands import make_runs, prepared
from actbench.cost import measure
from actbench.errors import UsageError
from actbench.execution import Pool
from actbench.plan import variants
from actbench.progress import print_table
from actbench.tables import series_name


def run(overrides: Sequence[str]) -> int:
    """What each activation costs on this device; all of the table where no override names one."""
    compose.allow_modules_of_current_folder()
    named = any(word.startswith("activation=") for word in overrides)
    points = compose.configs([*overrides, *([] if named else [f"activation={','.join(TABLE)}"])])
    first, device = points[0], torch.device(devices.choose(points[0].execution))
    runs = make_runs(points, prepared(points), "sweep")
    differing = [own.split() for own in variants(runs)]
    labels = [series_name(run.config.activation.label, own) for run, own in zip(runs, differing, strict=True)]
    if len(set(labels)) < len(labels) or any(not term.startswith("activation.") for own in differing for term in own):
        raise UsageError("cost measures each activation once; let only activation and its settings differ")
    folder = mirror.folder("cost")
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # no chatter of torch's profiler
    with Pool(device.type, 1, here=False) as pool:
        try:
            found = pool.call(measure, labels, runs, datasets.load(runs[0].data), device)
        except RuntimeError as error:
            raise UsageError(f"costs could not be measured: {error}") from error
    step = (
        f"{first.architecture.name} on {first.dataset.name}, batch {first.training.batch_size}, {first.optimizer.name}"
    )
    paths = cost_report.write(folder, found, step, mirror.command_line())
    print("of an output")
    print_table(cost_report.formatted(found, spread=False))
    print("\n".join(paths))
    return 0
