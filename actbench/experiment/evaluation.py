"""When a run is evaluated, and in which pieces: both move its numbers."""

EVALUATIONS = 20  # of a run, unless configured


def evaluation_interval(every: int | None, steps: int, parts: int) -> int:
    """Steps between two evaluations: as configured, else a `parts`-th of the run."""
    return every or max(1, -(-steps // parts))


# Examples a forward pass of evaluation holds: few, for the cache. Fixed, so that sums round the same in any stack.
EVALUATION_CHUNK = 128
