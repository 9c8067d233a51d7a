"""`actbench ui`: MLflow's server on the store, and links to a view of each experiment."""

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
SERVER_ENVIRONMENT = {  # a start takes 8 s and 0.5 GB instead of 19 s and 2.3 GB (measured)
    "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}  # fmt: skip
# MLflow answers 403 to a request that changes something and comes from a page of another origin, and to one for another
# host, whose name may have been bound to this address after its page was loaded. Its own list of hosts has patterns of
# private networks, which names such as 10.example.org match. A tunnel to this machine may end at any local port.
_GUARD = {
    "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(f"{host},{host}:*" for host in (HOST, "localhost")),
    "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": "", "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "false",
}  # fmt: skip

_TIMEOUT = 120.0  # seconds a server may take to start


def run_ui(uri: str, port: int | None, show: bool) -> int:
    """Serves the store until Ctrl-C; a store that is a server itself gets links alone. Returns the exit code.

    port: None for the first free one of PORTS. show: whether to open the newest view in the browser.
    Raises UsageError where the store or the port cannot be used, or the server does not start.
    """
    if uri.startswith(("http://", "https://")):
        print_links(stored_views(uri), uri.rstrip("/"), show)
        return 0
    check_database(uri, create=False)
    if port is not None and not _is_free(port):
        raise UsageError(f"--port {port} is taken or not a port; name another, or leave it out for the first free one")
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # not under nohup
        signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))  # sent when the terminal is closed
    while True:
        try:
            return _serve(uri, free_port() if port is None else port, show)
        except _PortTaken:
            if port is not None:
                raise


def _serve(uri: str, port: int, show: bool) -> int:
    base = f"http://{HOST}:{port}"
    print(f"starting MLflow at {base}", flush=True)
    with tempfile.TemporaryFile() as output, _running_server(uri, port, output) as server:
        experiments = stored_views(uri)  # runs while the server starts
        wait_for_server(server, port, output)
        print_links(experiments, base, show)
        print("Ctrl-C ends the server", flush=True)
        try:
            code = server.wait()
        except KeyboardInterrupt:
            print()
            return 0
        raise UsageError(f"the MLflow server has ended by itself, with exit code {code}")


class _PortTaken(UsageError):
    """The port was taken between the check and the server's start."""


def stored_views(uri: str) -> "list[ExperimentViews]":
    """The views of each experiment of a store. Raises UsageError where it cannot be reached."""
    configure_mlflow()  # before MLflow is imported, and not for the server
    from actbench.store.views import experiment_views  # its imports take seconds, in which the server starts

    return experiment_views(uri)


@contextlib.contextmanager
def _running_server(uri: str, port: int, output: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Runs MLflow's server while the block lasts, then ends it with all processes that it has started."""
    command = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--host", HOST, "--port", str(port),
        "--workers", "1",
    ]  # fmt: skip
    server = subprocess.Popen(
        command,
        env={**SERVER_ENVIRONMENT, **os.environ, **_GUARD},
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
    )
    try:
        yield server
    finally:
        for ending in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(server.pid, ending)
                server.wait(10)
                break


def free_port() -> int:
    """The first port of PORTS on which nothing listens. Raises UsageError where all are taken."""
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


def wait_for_server(server: subprocess.Popen[bytes], port: int, output: IO[bytes]) -> None:
    """Returns when the server itself answers on its port. output: what it has printed.

    Raises UsageError where it ends instead, or takes too long.
    """
    base = f"http://{HOST}:{port}"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # ignores the environment's proxies
    started = time.monotonic()
    while server.poll() is None:
        with contextlib.suppress(OSError), direct.open(f"{base}/health", timeout=5):
            if _listens(server, port):
                return
        if time.monotonic() - started > _TIMEOUT:
            raise UsageError(f"the MLflow server at {base} does not answer within {_TIMEOUT:.0f} s")
        time.sleep(0.1)
    if not _is_free(port):
        raise _PortTaken(f"another program has taken port {port}; name another, or leave it out for the first free one")
    output.seek(0)
    lines = [line.strip() for line in output.read().decode(errors="replace").splitlines() if line.strip()]
    raise UsageError(f"the MLflow server did not start: {' '.join(lines[-1:])[:300] or server.returncode}")


def _listens(server: subprocess.Popen[bytes], port: int) -> bool:
    """Whether the server, or a process that it has started, listens on a port."""
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(server.pid)
        for process in (parent, *parent.children(recursive=True)):
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                    return True
    return False


def print_links(experiments: "Sequence[ExperimentViews]", base: str, show: bool) -> None:
    """Prints a link to each view, or to the experiment's plain page where the store does not keep the view."""
    links = []
    for experiment in experiments:
        print(experiment.name)
        if experiment.comparison is not None:
            print(f"  the answer\n    {run_link(base, experiment.id, experiment.comparison)}")
        for view, key in experiment.views:
            links.append(experiment_link(base, experiment.id) if key is None else view_link(base, experiment.id, key))
            note = f" ({view.runs} runs, of which MLflow shows the first seeds until `Load more`)"
            print(f"  {view.title}{'' if view.is_loaded else note}\n    {links[-1]}")
    if not links:
        print(f"no runs yet: {base}/#/experiments?workflowType=machine_learning")
    print(flush=True)
    if show and links:
        webbrowser.open(links[0])
