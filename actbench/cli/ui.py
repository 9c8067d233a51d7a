"""`actbench ui`: MLflow's server on the store in use, and a link to a view of each experiment."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import webbrowser
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING

import psutil

from actbench.errors import UsageError
from actbench.store.dashboard import experiment_link, run_link, view_link
from actbench.store.mlflow_settings import configure_mlflow
from actbench.store.sqlite import check_database

if TYPE_CHECKING:
    from actbench.store.views import ExperimentViews

HOST = "127.0.0.1"
PORTS = range(5000, 5100)
LEAN = {  # of 19 s and 2.3 GB a start takes 8 s and 0.5 GB (measured)
    "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}  # fmt: skip

_PATIENCE = 120.0  # seconds until a server that does not answer is given up


def run_ui(uri: str, port: int | None, show: bool) -> int:
    """Serves until Ctrl-C. A store that is itself a server is only linked to. show: opens the newest view."""
    if uri.startswith(("http://", "https://")):
        _tell(_arranged(uri), uri.rstrip("/"), show)
        return 0
    check_database(uri, create=False)
    if port is not None and not _is_free(port):
        raise UsageError(f"--port {port} is taken, or none; name another, or leave it out for the first free one")
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # a closed terminal; no nohup
        signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))
    while True:
        try:
            return _serve(uri, _free_port() if port is None else port, show)
        except _PortTaken:
            if port is not None:
                raise


def _serve(uri: str, port: int, show: bool) -> int:
    base = f"http://{HOST}:{port}"
    print(f"starting MLflow at {base}", flush=True)
    with tempfile.TemporaryFile() as said, _serving(uri, port, said) as server:
        links = _arranged(uri)  # while it starts
        _wait(server, port, said)
        _tell(links, base, show)
        print("Ctrl-C ends the server", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            raise UsageError(f"the MLflow server has ended by itself, with exit code {server.wait()}")
    print()
    return 0


class _PortTaken(UsageError):
    """By another program, between our look and our server's."""


def _arranged(uri: str) -> "list[ExperimentViews]":
    configure_mlflow()  # before MLflow is imported, and not for the server
    from actbench.store.views import experiment_views  # its imports take seconds, in which the server starts

    return experiment_views(uri)


@contextlib.contextmanager
def _serving(uri: str, port: int, said: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """MLflow's server, and whatever processes it starts, while the block lasts. said: for what it prints."""
    words = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--host", HOST, "--port", str(port),
             "--workers", "1"]  # fmt: skip
    server = subprocess.Popen(
        words, env={**LEAN, **os.environ}, start_new_session=True, stdin=subprocess.DEVNULL, stdout=said, stderr=said
    )
    try:
        yield server
    finally:
        for ending in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(server.pid, ending)
                server.wait(10)
                break


def _free_port() -> int:
    for port in PORTS:
        if _is_free(port):
            return port
    raise UsageError(f"no free port from {PORTS.start} to {PORTS.stop - 1}; name one: actbench ui --port N")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError):
            return False
    return port > 0


def _wait(server: subprocess.Popen[bytes], port: int, said: IO[bytes]) -> None:
    """Until it answers, and no other on its port. Raises UsageError where it ends instead, or takes too long."""
    base = f"http://{HOST}:{port}"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever proxy the environment names
    began = time.monotonic()
    while server.poll() is None:
        with contextlib.suppress(OSError), direct.open(f"{base}/health", timeout=5):
            if _listens(server, port):
                return
        if time.monotonic() - began > _PATIENCE:
            raise UsageError(f"the MLflow server at {base} does not answer within {_PATIENCE:.0f} s")
        time.sleep(0.1)
    if not _is_free(port):
        raise _PortTaken(f"another program has taken port {port}; name another, or leave it out for the first free one")
    said.seek(0)
    lines = [line.strip() for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    raise UsageError(f"the MLflow server did not start: {' '.join(lines[-1:])[:300] or server.returncode}")


def _listens(server: subprocess.Popen[bytes], port: int) -> bool:
    """Whether it, or a process that it has started, does so on a port."""
    with contextlib.suppress(psutil.Error):
        own = psutil.Process(server.pid)
        for process in (own, *own.children(recursive=True)):
            sockets = process.net_connections("tcp")
            if any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in sockets):
                return True
    return False


def _tell(found: "Sequence[ExperimentViews]", base: str, show: bool) -> None:
    """A link for each view, the plain page of an experiment where there is none."""
    links = []
    for experiment in found:
        print(experiment.name)
        if experiment.comparison is not None:
            print(f"  the answer\n    {run_link(base, experiment.id, experiment.comparison)}")
        for view, key in experiment.views:
            plain = experiment_link(base, experiment.id)
            links.append(plain if key is None else view_link(base, experiment.id, key))
            more = (
                ""
                if view.is_loaded
                else f" ({view.runs} runs, of which MLflow shows the first seeds until `Load more`)"
            )
            print(f"  {view.title}{more}\n    {links[-1]}")
    if not links:
        print(f"no runs yet: {base}/#/experiments?workflowType=machine_learning")
    print(flush=True)
    if show and links:
        webbrowser.open(links[0])
