"""What tells two plans of an experiment apart: the runs that a command trains, and how they are judged."""

import hashlib
import json
from collections.abc import Iterable

from actbench.experiment.command import ProtocolSettings
from actbench.experiment.runs import Run


def plan_digest(runs: Iterable[Run], protocol: ProtocolSettings | None = None) -> str:
    """First 12 hex digits of the SHA-256 of run ids, whose order does not count, and of a comparison's protocol.

    runs: all that are planned; of a comparison those of its first stage, from which the others follow by the protocol.
    """
    keys = {"runs": sorted({run.id for run in runs}), "protocol": protocol and protocol.model_dump(mode="json")}
    return hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()[:12]
