"""When a run is evaluated, and in which chunks; both affect its numbers."""

EVALUATIONS = 20  # evaluations of a run, unless configured


def evaluation_interval(every: int | None, steps: int, parts: int) -> int:
    """Steps between two evaluations: as configured, else the steps of the run divided by `parts`."""
    return every or max(1, -(-steps // parts))


# Examples a forward pass of evaluation holds: few, for the cache. Fixed, so that sums round the same in any stack.
EVALUATION_CHUNK = 128
