"""What tells two plans of an experiment apart: the runs that a command trains, and how they are judged."""

import hashlib
import json
from collections.abc import Iterable

from actbench.experiment.command import ProtocolSettings
from actbench.experiment.runs import Run


def plan_digest(command: str, runs: Iterable[Run], protocol: ProtocolSettings) -> str:
    """First 12 hex digits of the SHA-256 of run ids, whose order does not count, and of a comparison's protocol.

    command: compare, sweep or train. runs: all that are planned; of a comparison those of its first stage, from which
    the others follow by the protocol.
    """
    judged = protocol.model_dump(mode="json") if command == "compare" else None
    keys = {"runs": sorted({run.id for run in runs}), "protocol": judged}
    return hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()[:12]
