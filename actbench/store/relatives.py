"""The other plans of an experiment in the store: a plan takes over the runs that one of them has trained."""

from collections.abc import Sequence
from dataclasses import replace

from actbench.experiment.runs import Run
from actbench.store.client import connect, family_names, store_errors
from actbench.store.reader import Store
from actbench.training.results import Result


def relatives(uri: str, family: str, own: str) -> list[Store]:
    """The other experiments of an existing store that plans of one experiment have, to read from; own: not that one."""
    with store_errors(uri):
        names = family_names(connect(uri, create=False), family)
    return [Store(uri, name, create=False, journals=False) for name in names if name != own]


def finished_elsewhere(stores: Sequence[Store], runs: Sequence[Run], weights: str = "none") -> dict[str, Result]:
    """Results of those runs that other plans of an experiment have, by run id; none where weights are to be kept."""
    found: dict[str, Result] = {}
    if weights == "none":
        for store in stores:
            found |= store.finished([run for run in runs if run.id not in found])
    phases = {run.id: run.phase for run in runs}
    return {id: replace(result, row={**result.row, "phase": phases[id]}) for id, result in found.items()}
