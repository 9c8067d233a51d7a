"""`actbench ui`: the server, its links, and the arranged view in a real browser."""

import contextlib
import http.client
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from PIL import ImageColor

from actbench.cli import ui
from actbench.cli.main import main
from actbench.cli.ui import HOST, SERVER_ENVIRONMENT, free_port, print_links, run_ui, stored_views
from actbench.errors import UsageError
from actbench.store import views
from actbench.store.charts import summary_sections
from actbench.store.dashboard import View, packed_state
from actbench.store.reader import Store
from actbench.store.summaries import BY_RATE, DIFFERENCE, LOG_RATE, PLACE, Summary
from actbench.store.views import views_of
from tests.cli.browser import CHROMIUM, browse
from tests.support import ENVIRONMENT, until

# The best, the baseline and the worst of a task, in the order in which a comparison writes them: the best last.
SUMMARIES = [
    Summary(
        name, {"task": "digits, mlp", "dataset": "digits", "architecture": "mlp", "activation": name}, verdict, color,
        {"test_accuracy": 0.9 + points / 100, "steps_to_target": 50.0},
        {DIFFERENCE: [(0, points - 0.5), (1, points + 0.5), (2, points)], PLACE: [(step, place) for step in range(3)],
         LOG_RATE: [(0, -2.0), (1, -1.0)], BY_RATE: [(0, 0.9), (1, 0.8)], "val_accuracy": [(0, 0.1), (9, 0.9)]},
    )
    for place, name, verdict, points, color in (
        (3, "tanh", "worse", -4.0, "#B85C00"), (2, "relu", "baseline", 0.0, "#000000"),
        (1, "gelu", "equal", 0.2, "#56606B"),
    )
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, blank_database: Path) -> Path:
    """Where a sweep of 3 activations, 2 architectures and 2 seeds has run, and summaries of a comparison are stored."""
    made = tmp_path_factory.mktemp("ui")
    shutil.copy(blank_database, made)
    before = Path.cwd()
    os.chdir(made)
    words = ["activation=relu,gelu,tanh", "architecture=mlp_small,cnn_small", "seed=0,1", "training.steps=20"]
    try:
        assert main(["sweep", *words, "training.evaluate_every=5", "execution.workers=1"]) == 0
        parent = Store("sqlite:///mlflow.db", "compared").start("compare", {"margin": "0.01"})
        parent.add_summaries(SUMMARIES)
        parent.end("FINISHED", "?", made / "results/sweep")
    finally:
        os.chdir(before)
    return made


@pytest.fixture(scope="module")
def links(folder: Path) -> Iterator[dict[str, str]]:
    """The links that a server prints, by their titles. One Ctrl-C ends the server and its processes."""
    server = subprocess.Popen(
        [sys.executable, "-m", "actbench", "ui"], cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    lines: list[str] = []
    while "Ctrl-C ends the server" not in "".join(lines[-1:]):
        lines.append(server.stdout.readline())
        assert lines[-1], "the server has ended"
    found = {title.strip(): link.strip() for title, link in itertools.pairwise(lines) if "viewStateShareKey" in link}
    yield found
    server.send_signal(signal.SIGINT)
    assert server.wait(20) == 0
    server.stdout.close()
    port = int(re.findall(r":(\d+)/", found["sweep: digits, mlp"])[0])
    with socket.socket() as probe:
        assert probe.connect_ex((HOST, port)) != 0


@pytest.mark.slow
def test_a_foreign_origin_or_host_is_answered_with_403_on_loopback_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def status(method: str, path: str, **headers: str) -> int:
        connection = http.client.HTTPConnection(HOST, port, timeout=30)
        body = b"{}" if method == "POST" else None
        connection.request(method, path, body, {"Content-Type": "application/json", **headers})
        with contextlib.closing(connection):
            return connection.getresponse().status

    for name, value in {
        "ALLOWED_HOSTS": "*",
        "CORS_ALLOWED_ORIGINS": "*",
        "DISABLE_SECURITY_MIDDLEWARE": "true",
    }.items():
        monkeypatch.setenv(f"MLFLOW_SERVER_{name}", value)  # of the user, for another server
    port = free_port()
    with (
        tempfile.TemporaryFile() as output,
        ui._running_server(f"sqlite:///{folder}/mlflow.db", port, output) as server,
    ):
        ui.wait_for_server(server, port, output)
        search, page = "/ajax-api/2.0/mlflow/experiments/search?max_results=9", "/"
        for host in (f"{HOST}:{port}", f"localhost:{port}", "localhost:1"):
            assert status("GET", page, Host=host) == status("GET", search, Host=host) == 200
        for host in ("example.org", f"example.org:{port}", "10.example.org", "192.168.1.1", f"{HOST}.example.org", ""):
            assert status("GET", page, Host=host) == status("GET", search, Host=host) == 403
        for origin in ("http://example.org", "null", f"https://{HOST}.example.org", "http://10.0.0.1"):
            for path in ("experiments/create", "runs/search", "runs/delete", "experiments/set-experiment-tag"):
                assert status("POST", f"/ajax-api/2.0/mlflow/{path}", Origin=origin) == 403
                assert status("POST", f"/api/2.0/mlflow/{path}", Origin=origin) == 403
        assert status("POST", "/ajax-api/2.0/mlflow/runs/search", Origin=f"http://{HOST}:{port}") != 403
        process = psutil.Process(server.pid)
        listening = [
            connection.laddr.ip
            for one in (process, *process.children(recursive=True))
            for connection in one.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert set(listening) == {HOST}


# MLflow draws a chart when it is visible: this scrolls down by 200 pixels, and from the end to the top.
_DOWN = """[...document.querySelectorAll('*')].filter(e => e.scrollHeight > e.clientHeight + 100).forEach(e => {
    const before = e.scrollTop; e.scrollTop += 200; if (e.scrollTop == before) e.scrollTop = 0 })"""
_CHARTS = ("val_accuracy", "test_accuracy", "dead_fraction", "gradient_ratio", "seconds")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")
def test_arranged_view_has_its_charts_grouped_by_activation(links: dict[str, str]) -> None:
    with browse() as page:
        page.open(links["sweep: digits, cnn"])
        shown = page.wait_for("val_accuracy", "Group: relu", "6 matching runs")
        assert all(f"Group: {name}" in shown for name in ("relu", "gelu", "tanh"))
        for section in ("Accuracy", "Convergence", "Dead units", "Gradients"):
            assert section in shown
        seen: list[str] = []

        def all_seen() -> bool:
            seen.append(page.text().split("Search metric charts")[-1])
            page.value(_DOWN)
            time.sleep(0.5)
            return all(any(name in text for text in seen) for name in _CHARTS)

        until(all_seen, 90)
        assert "layer/00/dead_fraction" not in page.text()  # folded away


_BARS = """[...document.querySelectorAll('.trace.bars .point path')]
    .sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top).map(e => getComputedStyle(e).fill)"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")
def test_the_view_of_a_comparison_draws_sorted_bars_in_the_colours_of_the_verdicts(links: dict[str, str]) -> None:
    with browse() as page:
        page.open(links["activations: digits, mlp"])
        shown = page.wait_for("3 matching runs", DIFFERENCE, PLACE, "Accuracy", "Validation accuracy", BY_RATE)
        assert shown.rindex(DIFFERENCE) < shown.index(BY_RATE)
        until(lambda: len(page.value(_BARS)) == 3)
        assert page.value(_BARS) == [f"rgb{ImageColor.getrgb(own.color)}" for own in reversed(SUMMARIES)]


def test_a_chart_is_zoomed_to_where_the_differences_are() -> None:
    def charts(*summaries: Summary) -> dict[str, Any]:
        values = [dict(own.values) | {key: curve[-1][1] for key, curve in own.curves.items()} for own in summaries]
        return {chart["metricKey"]: chart for own in summary_sections(values, 0.01) for chart in own.charts}

    tanh, relu, gelu = SUMMARIES
    assert charts(relu, gelu)[PLACE]["range"] == {"yMin": 2.5, "yMax": -0.5}
    zoomed = charts(tanh, relu, gelu)
    assert zoomed[PLACE]["range"] == {"xMin": -3.0, "xMax": 3.0, "yMin": 3.5, "yMax": -0.5}
    assert zoomed["val_accuracy"]["range"] == {"yMin": 0.75, "yMax": 0.92}
    assert zoomed[BY_RATE]["selectedXAxisMetricKey"] == LOG_RATE
    assert "test_accuracy" not in zoomed
    assert "test_accuracy" in charts(replace(relu, curves={}))  # without a baseline


def test_a_view_of_many_runs_shows_whole_seeds_and_one_of_summarized_runs_is_left_out() -> None:
    names = [f"activation{number}" for number in range(30)]
    runs = [
        ({"phase": "compare", "chosen": "true"}, {"dataset": "d", "architecture": "mlp", "activation": n, "seed": s})
        for s in ("0", "1", "10", "2") for n in names
    ]  # fmt: skip
    chosen, every = views_of(runs)
    assert (chosen.title, chosen.runs, chosen.is_loaded) == ("chosen rates: d, mlp, seeds 0 to 2", 90, True)
    assert "params.seed != '10'" in chosen.filter
    assert every.runs == 90
    assert list(views_of(runs, is_summarized=True)) == []
    (huge,) = views_of([({"phase": "sweep"}, {"seed": str(s), "activation": n}) for s in range(30) for n in names])
    assert (huge.runs, huge.is_loaded) == (900, False)  # too many seeds for a filter


def test_the_views_of_each_task_separate_runs_that_must_not_be_averaged() -> None:
    def run(phase: str, architecture: str, **params: str) -> tuple[dict[str, str], dict[str, str]]:
        tags = {"phase": phase, "chosen": params.pop("chosen", "false")}
        return tags, {"dataset": "digits", "architecture": architecture, "optimizer.lr": params.get("lr", ""), **params}

    def view(title: str) -> View:
        (found,) = (own for own in found_views if own.title == title)
        return found

    runs = [  # relu's rate is the same for every seed, tanh's is not
        run("compare", "mlp", activation=name, lr=lr, seed=seed, chosen=str(lr == best).lower())
        for name, seed, best in (("relu", "0", "0.1"), ("relu", "1", "0.1"), ("tanh", "0", "0.1"), ("tanh", "1", "0.2"))
        for lr in ("0.1", "0.2")
    ]  # fmt: skip
    swept = [run("sweep", "mlp", activation="relu", lr=lr) for lr in ("0.1", "0.2")]
    old = [run(phase, "mlp", activation="relu", lr=lr) for phase in ("tune", "confirm") for lr in ("0.1", "0.2")]
    of_others = [({"kind": "run"}, {"dataset": "digits"}), run("compare", "it's", activation="relu")]
    found_views = list(views_of([*old, *swept, *runs, *of_others]))
    assert [own.title.partition(":")[0] for own in found_views] == [
        "chosen rates", "confirm", "sweep", "every rate", "tune",
    ]  # fmt: skip
    chosen, every = view("chosen rates: digits, mlp"), view("every rate: digits, mlp")
    assert "tags.chosen = 'true'" in chosen.filter
    assert "tags.phase = 'compare'" in every.filter
    assert (chosen.groups, chosen.values, chosen.runs) == (("activation",), (("relu",), ("tanh",)), 4)
    assert (every.groups, len(every.values), every.runs) == (("activation", "lr"), 4, 8)
    assert view("confirm: digits, mlp").groups == ("activation",)
    assert view("tune: digits, mlp").groups == view("sweep: digits, mlp").groups == ("activation", "lr")
    state = every.state(["val_accuracy", "own_metric"])
    charts = {chart["metricKey"]: chart for chart in state["compareRunCharts"]}
    assert not charts["val_accuracy"]["deleted"]
    assert charts["own_metric"]["deleted"]
    assert {chart["metricSectionId"] for chart in charts.values()} <= {
        own["uuid"] for own in state["compareRunSections"]
    }
    assert "param.activation.relu,param.lr.0.1" in state["groupsExpanded"]
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`test_accuracy`", False)
    many = replace(every, runs=101).state([])  # else MLflow would average the best hundred only
    assert (many["orderByKey"], many["orderByAsc"]) == ("params.`seed`", True)
    key, value = packed_state(state)
    assert packed_state(every.state(["val_accuracy", "own_metric"])) == (key, value)
    assert len(value) < 20_000  # the longest tag of an experiment that MLflow accepts


def test_views_of_runs_show_the_score_that_the_runs_have() -> None:
    params = {"dataset": "shakespeare", "architecture": "decoder", "activation": "relu", "seed": "0"}
    (view,) = views_of([({"phase": "sweep", "metric": "bits_per_character"}, params)])
    charts = [chart["metricKey"] for chart in view.sections[0].charts]
    assert (view.sections[0].name, charts) == ("Score", ["score", "val_score", "auc"])
    assert (view.best, view.columns[3:5]) == ("score", ("metrics.`score`", "metrics.`val_score`"))
    (older,) = views_of([({"phase": "sweep"}, params)])
    assert [chart["metricKey"] for chart in older.sections[0].charts] == ["test_accuracy", "val_accuracy", "auc"]


def test_plain_links_remain_where_the_store_refuses_views(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: MlflowClient, *words: Any) -> None:
        raise MlflowException("tags are not taken here")

    monkeypatch.chdir(folder)
    monkeypatch.setattr(MlflowClient, "set_experiment_tag", refuse)
    monkeypatch.setattr(views, "packed_state", lambda state: ("other", "other"))
    print_links(stored_views("sqlite:///mlflow.db"), "http://127.0.0.1:1", False)
    lines = capsys.readouterr().out.splitlines()
    sweep = lines.index("sweep")
    assert lines[sweep + 1] == "  sweep: digits, cnn"
    assert lines[sweep + 2].strip() == "http://127.0.0.1:1/#/experiments/1/runs?workflowType=machine_learning"


def test_a_taken_port_is_skipped_by_default_and_refused_on_request(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(ui, "PORTS", range(port, port + 50))
        assert free_port() != port
        for wrong in (port, 0, 99999, -1):
            with pytest.raises(UsageError, match=f"--port {wrong} is taken or not a port; name another"):
                run_ui(f"sqlite:///{folder}/mlflow.db", wrong, False)


@pytest.mark.slow
def test_a_port_that_another_server_takes_is_not_linked_to(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: Any) -> None:
            pass

    monkeypatch.chdir(folder)
    with ThreadingHTTPServer((HOST, 0), Answers) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        found = iter([other.server_port])
        monkeypatch.setattr(ui, "free_port", lambda: next(found))
        with pytest.raises(StopIteration):  # raised when a second port is asked for
            run_ui("sqlite:///mlflow.db", None, False)
        assert "http://" not in capsys.readouterr().out.replace(f"starting MLflow at http://{HOST}", "")
        other.shutdown()


def test_a_failed_server_start_reports_its_reason(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "mlflow.py"
    broken.write_text("raise SystemExit('it cannot be')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(UsageError, match="the MLflow server did not start: it cannot be"):
        run_ui(f"sqlite:///{folder}/mlflow.db", None, False)


def test_a_missing_store_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["ui"]) == 2
    assert "there is no mlflow.db; run in the folder of the results" in capsys.readouterr().err
    assert main(["ui", "store.uri=http://127.0.0.1:9"]) == 2
    assert "store.uri=http://127.0.0.1:9: no server answers" in capsys.readouterr().err


@pytest.mark.slow
def test_the_database_passes_the_upgrade_of_mlflow(folder: Path) -> None:
    words = [sys.executable, "-m", "mlflow", "db", "upgrade", "sqlite:///mlflow.db"]
    assert subprocess.run(words, cwd=folder, capture_output=True, env=ENVIRONMENT | SERVER_ENVIRONMENT).returncode == 0


@pytest.mark.slow
def test_live_runs_appear_under_the_run_of_their_comparison(own_folder: Path) -> None:
    words = ["compare", "activation=relu,gelu", "architecture=mlp_small", "training.steps=1000000",
             "training.evaluate_every=1000", "training.measure_every=0", "protocol.seeds=1",
             "protocol.learning_rates=[0.001]", "execution.workers=2"]  # fmt: skip
    command = subprocess.Popen(
        [sys.executable, "-m", "actbench", *words], cwd=own_folder, env=ENVIRONMENT, stdout=subprocess.DEVNULL
    )
    client = MlflowClient(f"sqlite:///{own_folder}/mlflow.db")
    live: list[Any] = until(lambda: client.search_runs(["1"], "tags.status = 'running' and metrics.val_accuracy > 0"))
    assert live[0].info.run_name == f"{live[0].data.params['activation']} lr=0.001 seed=0"
    above = client.get_run(live[0].data.tags["mlflow.parentRunId"])
    assert (above.data.tags["kind"], above.info.status) == ("compare", "RUNNING")
    assert "mlflow.parentRunId" not in above.data.tags
    command.send_signal(signal.SIGINT)
    assert command.wait(30) == 130
    assert client.search_runs(["1"], "attributes.status = 'RUNNING'") == []
    trainings = client.search_runs(["1"], "tags.kind = 'run'")
    assert trainings == []  # interrupted runs are deleted
