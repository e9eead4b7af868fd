from __future__ import annotations

import dataclasses
import functools
import io
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import kfp_api
import pytest
import yaml
from rich.console import Console

from pipeline import console
from pipeline.kubeflow import client, cluster, submission
from pipeline.kubeflow.commands import Schedule, Server, Submit
from pipeline.kubeflow.deployment import Placement
from tests.imports import heavy_imports

RUNNER = pathlib.Path(__file__).parents[3] / "kubeflow_runner.py"

PACKAGE = {
    "pipelineInfo": {"name": "debug"},
    "schemaVersion": "2.1.0",
    "defaultPipelineRoot": "minio://mlpipeline/v2/artifacts",
    "root": {
        "dag": {"tasks": {}},
        "inputDefinitions": {
            "parameters": {
                "data_dir": {"parameterType": "STRING", "defaultValue": "/data"},
                "dcnn_phases_0_epochs": {"parameterType": "NUMBER_INTEGER", "defaultValue": 1},
                "min_accuracy": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.5},
                "serving_dir": {"parameterType": "STRING", "defaultValue": "/mnt/pets/serving"},
                "serving_model": {"parameterType": "STRING", "defaultValue": "gs://bucket/model"},
            }
        },
    },
}
PLACEMENT = Placement(volume="pets:/mnt/pets")


@pytest.fixture
def api() -> Iterator[kfp_api.Api]:
    with kfp_api.serving(kfp_api.Api(runs=[kfp_api.run("SUCCEEDED")])) as api:
        yield api


@pytest.fixture
def server(api: kfp_api.Api, tmp_path: pathlib.Path) -> Server:
    (tmp_path / "token").write_text(f"{kfp_api.TOKEN}\n")
    return Server(host=api.url, namespace=kfp_api.NAMESPACE, token_file=str(tmp_path / "token"))


@pytest.fixture
def package(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump_all([PACKAGE, cluster.platform_spec(["exec-Pusher"], PLACEMENT)]))
    return path


def _followed(server: Server) -> tuple[bool, list[str]]:
    text = io.StringIO()
    screen = console.plain(text)
    succeeded = client.follow(client.connect(server), server, "run-1", screen, poll_seconds=0.01)
    return succeeded, text.getvalue().splitlines()


def test_a_run_is_started_with_its_experiment_name_and_typed_parameters(
    api: kfp_api.Api, server: Server, package: pathlib.Path
) -> None:
    parameters = ("data_dir=/mnt/pets/data", "dcnn_phases_0_epochs=3", "min_accuracy=0.75")
    command = Submit(server, package, "nightly", "first", parameters, service_account="runner", cache=False)
    assert client.submit(client.connect(server), command) == "run-1"
    (experiments, experiment), (runs, run) = api.requests
    assert experiments == "/apis/v2beta1/experiments"
    assert experiment == {"display_name": "nightly", "namespace": kfp_api.NAMESPACE}
    assert runs.startswith("/apis/v2beta1/runs")
    assert run["display_name"] == "first"
    assert run["experiment_id"] == "experiment-1"
    assert run["service_account"] == "runner"
    assert run["pipeline_spec"]["pipeline_spec"]["pipelineInfo"]["name"] == "debug"
    assert run["runtime_config"]["parameters"] == {
        "data_dir": "/mnt/pets/data",
        "dcnn_phases_0_epochs": 3,
        "min_accuracy": 0.75,
    }


def test_a_schedule_is_made(api: kfp_api.Api, server: Server, package: pathlib.Path) -> None:
    command = Schedule(server, package, run_name="nightly", cron="0 0 3 * * *")
    assert client.schedule(client.connect(server), command) == "recurring-1"
    _, body = api.requests[-1]
    assert body["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * *"
    assert body["mode"] == "ENABLE"
    assert body["max_concurrency"] == 1
    assert body["no_catchup"] is True


def test_a_followed_run_shows_each_component_once_as_it_ends(api: kfp_api.Api, server: Server) -> None:
    task = kfp_api.task
    api.runs = [
        kfp_api.run("RUNNING", task("root", "RUNNING"), task("Transform-driver", "SUCCEEDED", 2)),
        kfp_api.run("RUNNING", task("Transform", "SUCCEEDED", 90), task("Trainer-dcnn", "RUNNING")),
        kfp_api.run("SUCCEEDED", task("Transform", "SUCCEEDED", 90), task("Trainer-dcnn", "SKIPPED")),
    ]
    succeeded, lines = _followed(server)
    assert succeeded
    assert [line.split() for line in lines[:2]] == [
        ["Transform", "done", "1:30", "min"],
        ["Trainer-dcnn", "cached", "0.0", "s"],
    ]
    assert lines[2] == f"Run succeeded: {api.url}/#/runs/details/run-1"
    assert len(lines) == 3


def test_a_failed_run_names_the_component_and_its_error(api: kfp_api.Api, server: Server) -> None:
    api.runs = [kfp_api.run("FAILED", kfp_api.task("Trainer-dcnn", "FAILED", 5, "OOMKilled"))]
    succeeded, lines = _followed(server)
    assert not succeeded
    assert lines[0].split() == ["Trainer-dcnn", "failed", "5.0", "s"]
    assert lines[1].strip() == "OOMKilled"


def test_a_short_silence_of_the_server_does_not_end_the_watch(api: kfp_api.Api, server: Server) -> None:
    api.silent = 3
    assert _followed(server)[0]


def test_a_long_silence_does(api: kfp_api.Api, server: Server) -> None:
    api.silent = 1000
    with pytest.raises(client.KubeflowError, match="503"):
        _followed(server)


def test_an_unknown_run_is_named_at_once(server: Server) -> None:
    with pytest.raises(client.KubeflowError, match="runs/nowhere not found"):
        client.follow(client.connect(server), server, "nowhere", Console(file=io.StringIO()), poll_seconds=60)


def test_an_unreachable_host(server: Server) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(client.KubeflowError, match=f"nobody answers at {host}.*port-forward"):
            client.connect(dataclasses.replace(server, host=host))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"host": "localhost:8080"}, "give a URL such as"),
        ({"host": "http://localhost:99999"}, "host is 'http://localhost:99999': give a URL such as"),
        ({"host": "http:///"}, "host is 'http:///': give a URL such as"),
        ({"host": "http://[::1"}, r"host is 'http://\[::1': give a URL such as"),
        ({"host": "http://a..b:80"}, r"host is 'http://a\.\.b:80': give a URL such as"),
        ({"namespace": "nowhere"}, "namespace 'nowhere'.*Does this profile exist"),
        ({"namespace": ""}, "A namespace is required"),
        ({"token_file": "nowhere"}, "no token file nowhere"),
        ({"token_file": ""}, "refuses this process' token.*Give --token-file"),
    ],
)
def test_a_server_that_cannot_be_used(server: Server, change: dict[str, str], message: str) -> None:
    with pytest.raises(client.KubeflowError, match=message):
        client.connect(dataclasses.replace(server, **change))


def test_a_token_that_is_refused(api: kfp_api.Api, server: Server) -> None:
    api.token = "renewed"
    with pytest.raises(client.KubeflowError, match=r"refuses the token in .*token .*still valid"):
        client.connect(server)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parameter": ("epochs=3",)}, "no parameter 'epochs'; it has data_dir, dcnn_phases_0_epochs, min_accuracy"),
        ({"parameter": ("dcnn_phases_0_epochs=many",)}, "dcnn_phases_0_epochs is 'many', not a number"),
        ({"parameter": ("dcnn_phases_0_epochs=-3",)}, "dcnn_phases_0_epochs is -3: it must be at least 1"),
        ({"parameter": ("min_accuracy=nan",)}, "min_accuracy is nan: it must be at least 0 and at most 1"),
        ({"parameter": ("min_accuracy=80",)}, "min_accuracy is 80.0: it must be at least 0 and at most 1"),
        ({"parameter": ("data_dir=/mnt/[a]",)}, "data_dir is '/mnt/.a.': it must be a path without"),
        ({"parameter": ("data_dir=s3://bucket/data",)}, "TensorFlow cannot read: mount the bucket"),
        ({"parameter": ("data_dir=/srv/data",)}, "data_dir is '/srv/data', which no step would find: .* below /mnt/pe"),
        ({"parameter": ("serving_dir=/srv/models",)}, "goes with its container: give a folder below /mnt/pets, or gs"),
        ({"parameter": ("serving_model=/srv/model",)}, "serving_model is '/srv/model', which no step would find"),
        ({"pipeline_root": "/mnt/artifacts"}, "TFX cannot read in a container"),
        ({"package": pathlib.Path("nowhere.yaml")}, "no package nowhere.yaml: write one"),
    ],
)
def test_what_cannot_run_is_not_sent(
    api: kfp_api.Api, server: Server, package: pathlib.Path, change: dict[str, object], message: str
) -> None:
    command = dataclasses.replace(Submit(server, package), **change)  # type: ignore[arg-type]
    with pytest.raises(submission.CommandError, match=message):
        client.submit(client.connect(server), command)
    assert not [path for path, _ in api.requests if "/runs" in path]


@pytest.mark.parametrize("text", ["", "[", "[" * 5_000 + "]" * 5_000], ids=["empty", "open", "deep"])
def test_a_file_that_is_no_package_is_named(package: pathlib.Path, text: str) -> None:
    package.write_text(text)
    with pytest.raises(submission.CommandError, match=r"pipeline\.yaml is no package of kubeflow_runner\.py compile"):
        submission.read_package(package)


LOGIN_PAGE = ("text/html; charset=utf-8", "<html><body>run_id: sign in, please</body></html>")
EMPTY = ("application/json", "{}")


def test_a_login_page_is_no_answer(api: kfp_api.Api, server: Server) -> None:
    api.other_answers["*"] = LOGIN_PAGE
    with pytest.raises(client.NotKubeflowError, match=r"with text/html.*is it a login page\?.*--token-file"):
        client.connect(server)


@pytest.mark.parametrize("answer", [LOGIN_PAGE, EMPTY, ("application/json", "null"), ("application/json", "[]")])
@pytest.mark.parametrize(
    ("resource", "name"),
    [("POST experiments", "experiment_id"), ("POST runs", "run_id"), ("POST recurringruns", "recurring_run_id")],
)
def test_what_was_not_made_has_no_id_and_is_refused(
    api: kfp_api.Api, server: Server, package: pathlib.Path, resource: str, name: str, answer: tuple[str, str]
) -> None:
    connection = client.connect(server)
    api.other_answers[resource] = answer
    scheduled = resource == "POST recurringruns"
    send: Callable[[], str] = (
        functools.partial(client.schedule, connection, Schedule(server, package, every_seconds=60))
        if scheduled
        else functools.partial(client.submit, connection, Submit(server, package))
    )
    with pytest.raises(client.NotKubeflowError, match=f"{api.url} answers, but .*{name if answer == EMPTY else ''}"):
        send()


@pytest.mark.parametrize("answer", [LOGIN_PAGE, EMPTY])
def test_a_run_without_an_id_is_not_waited_for(api: kfp_api.Api, server: Server, answer: tuple[str, str]) -> None:
    connection = client.connect(server)
    api.other_answers["GET runs/run-1"] = answer
    with pytest.raises(client.NotKubeflowError, match="is it a login page"):
        client.follow(connection, server, "run-1", Console(file=io.StringIO()), poll_seconds=60)


def test_a_schedule_names_its_next_times(api: kfp_api.Api, server: Server, package: pathlib.Path) -> None:
    arguments = ["--host", server.host, "--namespace", server.namespace, "--token-file", server.token_file]
    result = subprocess.run(
        [sys.executable, str(RUNNER), "schedule", *arguments, "--package", str(package), "--cron", "0 0 3 * * *"],
        capture_output=True,
        text=True,
        check=True,
    )
    first, *times = result.stdout.splitlines()
    assert first == f"Schedule recurring-1  {api.url}/#/recurringrun/details/recurring-1"
    assert len(times) == 3
    assert all(re.fullmatch(r"Next run \w{3} \d{4}-\d\d-\d\d 03:00:00 UTC, .*", line) for line in times)


def test_a_schedule_is_not_waited_for(package: pathlib.Path) -> None:
    arguments = ["--package", str(package), "--every-seconds", "60", "--wait"]
    result = subprocess.run(
        [sys.executable, str(RUNNER), "schedule", *arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "--wait" in result.stderr


def test_an_error_with_brackets_is_shown_whole(api: kfp_api.Api, server: Server) -> None:
    api.runs = [kfp_api.run("FAILED", kfp_api.task("Trainer[/x]", "FAILED", 5, "no [v2] in [/y]"))]
    _, lines = _followed(server)
    assert lines[0].startswith("Trainer[/x] ")
    assert lines[1].strip() == "no [v2] in [/y]"


def test_a_wrong_parameter_ends_with_status_2_before_a_server_is_asked(package: pathlib.Path) -> None:
    arguments = ["--host", "http://nowhere.invalid", "--package", str(package), "--parameter", "min_accuracy=nan"]
    result = subprocess.run(
        [sys.executable, str(RUNNER), "submit", *arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stderr == "parameter min_accuracy is nan: it must be at least 0 and at most 1\n"


@pytest.mark.parametrize(("state", "status"), [("SUCCEEDED", 0), ("FAILED", 1)])
def test_the_command_prints_the_runs_page_and_ends_as_the_run_did(
    api: kfp_api.Api, server: Server, package: pathlib.Path, state: str, status: int
) -> None:
    api.runs = [kfp_api.run(state, kfp_api.task("Pusher", state, 1))]
    arguments = ["--host", server.host, "--namespace", server.namespace, "--token-file", server.token_file]
    result = subprocess.run(
        [sys.executable, str(RUNNER), "submit", *arguments, "--package", str(package), "--wait"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == status, result.stderr
    assert result.stdout.splitlines()[0] == f"Run run-1  {api.url}/#/runs/details/run-1"
    assert "Pusher" in result.stdout.splitlines()[1]


def test_an_error_is_one_sentence_without_a_traceback(server: Server) -> None:
    arguments = ["--host", server.host, "--namespace", "nowhere", "--token-file", server.token_file]
    result = subprocess.run(
        [sys.executable, str(RUNNER), "wait", "run-1", *arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "does not allow the use of namespace 'nowhere'" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_ctrl_c_leaves_the_run_alone_and_says_how_to_follow_it(
    api: kfp_api.Api, server: Server, package: pathlib.Path
) -> None:
    api.runs = [kfp_api.run("RUNNING")]
    arguments = ["--host", server.host, "--namespace", server.namespace, "--token-file", server.token_file]
    waiting = subprocess.Popen(
        [sys.executable, str(RUNNER), "submit", *arguments, "--package", str(package), "--wait"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell lets what it starts in the background ignore Ctrl-C, these tests among it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert waiting.stdout
    assert waiting.stdout.readline().startswith("Run run-1")
    time.sleep(1)
    waiting.send_signal(signal.SIGINT)
    said, errors = waiting.communicate(timeout=60)
    assert waiting.returncode == 130
    follow = " ".join(["python kubeflow_runner.py wait run-1", *arguments])
    assert said == f"The run goes on; to follow it: {follow}\n"
    assert errors == ""


@pytest.mark.parametrize("arguments", [["--help"], ["compile", "--help"], ["submit", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    shown, imported = heavy_imports(RUNNER, *arguments)
    assert imported == []
    assert "usage: kubeflow_runner.py" in shown
