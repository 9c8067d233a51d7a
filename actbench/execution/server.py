"""The process from which workers are forked. This module imports no torch, so that a command can start it at once."""

import os
import sys
from multiprocessing import forkserver, resource_tracker

from actbench.signals import main_hidden, sigint_blocked

# macOS's libraries do not survive a fork, and Windows has none.
START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"

# glibc's malloc gives large blocks back to the system, and every step asks for them again: measured, this makes sweeps
# 2 % (Transformer), 4 % (MLP) and 14 % (CNN) faster. Values that the user has set are kept.
MALLOC = {  # bytes
    "MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "1000000000", "MALLOC_TOP_PAD_": "200000000",
}  # fmt: skip


def start_server() -> None:
    """Starts the process from which workers are forked, unless it runs; it imports torch while this one goes on."""
    if START_METHOD != "forkserver":
        return
    for key, value in MALLOC.items():
        os.environ.setdefault(key, value)
    resource_tracker.ensure_running()  # it unblocks SIGINT when it starts; the server starts it where it does not run
    with sigint_blocked(), main_hidden():
        forkserver.set_forkserver_preload(["actbench.execution.worker"])
        forkserver.ensure_running()
