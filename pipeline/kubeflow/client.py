"""Asks a server of Kubeflow Pipelines: starts runs, follows them, and says in one sentence what is wrong."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import io
import itertools
import json
import os
import shlex
import socket
import time
import urllib.parse
import warnings
from collections.abc import Iterator
from typing import Any

import kfp
import kfp_server_api
import urllib3
from kfp.client import KF_PIPELINES_SA_TOKEN_ENV, KF_PIPELINES_SA_TOKEN_PATH, set_volume_credentials
from rich.console import Console

from pipeline import console
from pipeline.kubeflow import cron, submission
from pipeline.kubeflow.commands import Schedule, Sent, Server, Submit, Wait

_DONE = {"SUCCEEDED": "complete", "SKIPPED": "cached", "FAILED": "failed", "CANCELED": "failed"}
"""How a task ended, in the console's words: KFP skips a task whose outputs it has."""

_PATIENCE = 5
"""So many questions in a row may stay without an answer while a run is followed."""

_TIMEOUT = 20.0
"""Seconds for the first answer of the server."""


class KubeflowError(RuntimeError):
    """What went wrong and what to do, for a person."""


class NotKubeflowError(KubeflowError):
    """The server answers, but not as Kubeflow Pipelines does."""


def run(command: Submit | Schedule | Wait, screen: Console) -> bool:
    """Sends or follows what the command says, and prints its page.

    Returns:
        Whether all is well: the run that was followed, if one was, has succeeded.

    Raises:
        submission.CommandError: the package or a parameter is wrong.
        KubeflowError: as `connect`, `submit`, `schedule` and `follow`.
    """
    if isinstance(command, Sent):
        submission.arguments(command)  # before a server is asked
    client, server = connect(command.server), command.server
    if isinstance(command, Wait):
        return follow(client, server, command.run_id, screen, command.poll_seconds)
    if isinstance(command, Schedule):
        recurring_run_id = schedule(client, command)
        screen.print(f"Schedule {recurring_run_id}  {_page(server, f'recurringrun/details/{recurring_run_id}')}")
        for time_of_run in cron.next_times(command.cron, datetime.datetime.now(datetime.UTC)) if command.cron else ():
            screen.print(f"Next run {time_of_run:%a %Y-%m-%d %H:%M:%S} UTC, KFP's default time zone")
        return True
    run_id = submit(client, command)
    screen.print(f"Run {run_id}  {_page(server, f'runs/details/{run_id}')}")
    return not command.wait or follow(client, server, run_id, screen)


def connect(server: Server) -> kfp.Client:
    """A client that has been answered.

    Raises:
        KubeflowError: nobody answers at the host, or not as Kubeflow Pipelines does; the token is refused, or the
            namespace cannot be used.
    """
    try:
        address = urllib.parse.urlsplit(server.host)
        port = address.port or {"http": 80, "https": 443}[address.scheme]
        if not address.hostname:
            raise ValueError("no host")
        socket.create_connection((address.hostname, port), timeout=_TIMEOUT).close()
    except (ValueError, KeyError) as error:  # a bracket left open, a port or a name that no machine can have
        raise KubeflowError(f"host is {server.host!r}: give a URL such as http://localhost:8080") from error
    except OSError as error:
        raise KubeflowError(
            f"nobody answers at {server.host} ({error}). Outside the cluster, first run: "
            "kubectl port-forward --namespace kubeflow service/ml-pipeline-ui 8080:80, then --host http://localhost:8080"
        ) from error
    with _explained(server), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # on servers older than KFP 2.0, for every client
        credentials = _credentials(server)
        # The constructor asks five times before it gives up, with tracebacks: it is spared where nothing is to be had.
        configuration = kfp_server_api.Configuration(host=server.host.rstrip("/"))
        if credentials:
            credentials.refresh_api_key_hook(configuration)
            configuration.api_key_prefix["authorization"] = "Bearer"
        experiments = kfp_server_api.ExperimentServiceApi(kfp_server_api.ApiClient(configuration))
        _, _, headers = experiments.experiment_service_list_experiments_with_http_info(
            page_size=1, namespace=server.namespace or None, _request_timeout=_TIMEOUT
        )
        content = headers.get("Content-Type", "no type")
        if "json" not in content:
            raise _not_kubeflow(server, f"with {content}, not JSON")
        return kfp.Client(
            host=server.host, ui_host=server.ui_host or server.host, namespace=server.namespace, credentials=credentials
        )


def submit(client: kfp.Client, command: Submit) -> str:
    """Starts a run.

    Returns:
        Its id.

    Raises:
        submission.CommandError: the package or a parameter is wrong.
        KubeflowError: the server refuses them.
    """
    spec, arguments = submission.read_package(command.package), submission.arguments(command)
    with _explained(command.server):
        run = client.run_pipeline(
            experiment_id=_experiment(client, command),
            job_name=command.run_name or f"{spec['pipelineInfo']['name']} {datetime.datetime.now():%Y-%m-%d %H:%M:%S}",
            **arguments,
        )
        return _id(command.server, run, "run_id")


def schedule(client: kfp.Client, command: Schedule) -> str:
    """Starts a recurring run, one at a time.

    Returns:
        The recurring run's id.

    Raises:
        KubeflowError: as `submit`.
    """
    spec, arguments = submission.read_package(command.package), submission.arguments(command)
    with _explained(command.server):
        recurring = client.create_recurring_run(
            experiment_id=_experiment(client, command),
            job_name=command.run_name or spec["pipelineInfo"]["name"],
            cron_expression=command.cron or None,
            interval_second=command.every_seconds or None,
            max_concurrency=1,
            # A cluster that was down runs the pipeline once, not once for each time that it missed.
            no_catchup=True,
            **arguments,
        )
        return _id(command.server, recurring, "recurring_run_id")


def follow(client: kfp.Client, server: Server, run_id: str, screen: Console, poll_seconds: float = 5.0) -> bool:
    """Prints a line for each component as it ends, until the run has ended.

    Returns:
        Whether it succeeded.

    Raises:
        KubeflowError: there is no such run, or the server has stopped to answer.
        KeyboardInterrupt: by Ctrl-C, after a line that says how to follow the run again.
    """
    try:
        return _follow(client, server, run_id, screen, poll_seconds)
    except KeyboardInterrupt:
        given = dataclasses.asdict(server)
        flags = [(f"--{name.replace('_', '-')}", given[name]) for name in given if given[name]]
        command = shlex.join(["python", "kubeflow_runner.py", "wait", run_id, *itertools.chain(*flags)])
        screen.print(f"The run goes on; to follow it: {command}")
        raise


def _follow(client: kfp.Client, server: Server, run_id: str, screen: Console, poll_seconds: float) -> bool:
    shown: set[str] = set()
    unanswered = 0
    while True:
        try:
            with _explained(server):
                run = client.get_run(run_id)
                _id(server, run, "run_id")
            unanswered = 0
        except KubeflowError as error:
            unanswered += 1
            # A server that restarts, or a token that is just renewed, must not end the watch; an unknown run must.
            if unanswered == _PATIENCE or (not shown and _is_final(error)):
                raise
            time.sleep(poll_seconds)
            continue
        _print_ended(run, screen, shown)
        if run.state in _DONE:
            if run.error and run.error.message:
                screen.print(run.error.message)
            screen.print(f"Run {run.state.lower()}: {_page(server, f'runs/details/{run_id}')}")
            return run.state == "SUCCEEDED"
        time.sleep(poll_seconds)


def _page(server: Server, path: str) -> str:
    return f"{(server.ui_host or server.host).rstrip('/')}/#/{path}"


def _print_ended(run: kfp_server_api.V2beta1Run, screen: Console, shown: set[str]) -> None:
    details = run.run_details.task_details if run.run_details else None
    for task in details or []:
        # Beside each component KFP lists its driver, and the whole as `root`.
        if task.state not in _DONE or task.display_name.endswith("-driver") or task.display_name == "root":
            continue
        if task.display_name in shown:
            continue
        shown.add(task.display_name)
        seconds = (task.end_time - task.start_time).total_seconds() if task.end_time and task.start_time else 0.0
        screen.print(console.component_line(task.display_name, _DONE[task.state], max(seconds, 0.0)))
        if task.error and task.error.message:
            screen.print(f"    {task.error.message}", style="dim")


def _credentials(server: Server) -> set_volume_credentials.ServiceAccountTokenVolumeCredentials | None:
    """Reads the token anew for each request, for the cluster renews it."""
    path = server.token_file or os.environ.get(KF_PIPELINES_SA_TOKEN_ENV, KF_PIPELINES_SA_TOKEN_PATH)
    if os.path.isfile(path):
        return set_volume_credentials.ServiceAccountTokenVolumeCredentials(path)
    if server.token_file:
        raise KubeflowError(f"there is no token file {server.token_file}")
    return None


def _experiment(client: kfp.Client, command: Sent) -> str:
    experiment = client.create_experiment(command.experiment, namespace=command.server.namespace or None)
    return _id(command.server, experiment, "experiment_id")


def _id(server: Server, answer: Any, name: str) -> str:
    """The id of what the server made or has: without one it made nothing."""
    value = getattr(answer, name, None)
    if not isinstance(value, str) or not value:
        raise _not_kubeflow(server, f"without {name}")
    return value


def _not_kubeflow(server: Server, how: str) -> NotKubeflowError:
    return NotKubeflowError(
        f"{server.host} answers, but {how}, so it is not the API of Kubeflow Pipelines: is it a login page? "
        "Give --host with the API's address, and --token-file where it asks for a token"
    )


def _is_final(error: KubeflowError) -> bool:
    if isinstance(error, NotKubeflowError):
        return True
    return isinstance(error.__cause__, kfp_server_api.ApiException) and error.__cause__.status in (400, 401, 403, 404)


@contextlib.contextmanager
def _explained(server: Server) -> Iterator[None]:
    """Turns the client's exceptions into sentences."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # kfp prints links of its own
            yield
    except kfp_server_api.ApiException as error:
        raise KubeflowError(_sentence(server, error)) from error
    except urllib3.exceptions.HTTPError as error:
        raise KubeflowError(f"{server.host} accepts connections but does not answer: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # kfp's client found no KFP in the answer
        raise _not_kubeflow(server, f"with something else ({error})") from error


def _sentence(server: Server, error: kfp_server_api.ApiException) -> str:
    try:
        body = json.loads(error.body or "")
        message = body.get("error_details") or body.get("message") or body.get("error") or error.reason
    except (ValueError, AttributeError):
        message = error.reason
    who = f"the token in {server.token_file}" if server.token_file else "this process' token, if it has one"
    if error.status == 401:
        return f"{server.host} refuses {who} ({message}). Give --token-file with a token that is still valid"
    if error.status == 403:
        return (
            f"{server.host} does not allow the use of namespace {server.namespace!r} ({message}). "
            f"Does this profile exist, and is the account of {who} a contributor of it?"
        )
    if "namespace" in str(message).lower():
        return f"{server.host} does not know namespace {server.namespace!r}: {message}. Give --namespace, or none"
    if error.status == 404:
        return f"{server.host} has no such thing: {message}. Is it the address of Kubeflow Pipelines 2?"
    return f"{server.host} answered {error.status}: {message}"
