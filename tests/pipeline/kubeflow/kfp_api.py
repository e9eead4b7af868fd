"""A local server that answers as the KFP v2beta1 API does; its answers are kfp-server-api's own models."""

from __future__ import annotations

import dataclasses
import datetime
import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import kfp_server_api

NAMESPACE, TOKEN = "team", "good"
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@dataclasses.dataclass
class Api:
    """What the server was asked, and what it answers."""

    url: str = ""
    token: str = TOKEN
    requests: list[tuple[str, Any]] = dataclasses.field(default_factory=list)
    """Path and body of each POST."""
    runs: list[kfp_server_api.V2beta1Run] = dataclasses.field(default_factory=list)
    """What a run looks like at each question; the last one stays."""
    other_answers: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    """Content type and body that come with status 200 instead of the API's, by `METHOD RESOURCE`; `*` is every one."""
    silent: int = 0
    """So many questions for a run get error 503 first."""


def task(name: str, state: str, seconds: float = 0, error: str = "") -> kfp_server_api.V2beta1PipelineTaskDetail:
    return kfp_server_api.V2beta1PipelineTaskDetail(
        display_name=name,
        state=state,
        start_time=START,
        end_time=START + datetime.timedelta(seconds=seconds) if seconds else None,
        error=kfp_server_api.GoogleRpcStatus(message=error) if error else None,
    )


def run(state: str, *tasks: kfp_server_api.V2beta1PipelineTaskDetail) -> kfp_server_api.V2beta1Run:
    details = kfp_server_api.V2beta1RunDetails(task_details=list(tasks))
    return kfp_server_api.V2beta1Run(run_id="run-1", display_name="a run", state=state, run_details=details)


@contextmanager
def serving(api: Api) -> Iterator[Api]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            api.requests.append((self.path, body))
            self._answer(body)

        def _answer(self, body: Any) -> None:
            resource = urllib.parse.urlsplit(self.path).path.removeprefix("/apis/v2beta1/")
            other = api.other_answers.get(f"{self.command} {resource}", api.other_answers.get("*"))
            if other:
                self._send(200, *other)
                return
            status, answer = _respond(api, self.path, body, self.headers.get("authorization", ""))
            self._send(
                status, "application/json", json.dumps(kfp_server_api.ApiClient().sanitize_for_serialization(answer))
            )

        def _send(self, status: int, content_type: str, body: str) -> None:
            content = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    api.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()


def _respond(api: Api, path: str, body: Any, authorization: str) -> tuple[int, Any]:
    parts = urllib.parse.urlsplit(path)
    query = dict(urllib.parse.parse_qsl(parts.query))
    resource = parts.path.removeprefix("/apis/v2beta1/")
    if resource == "healthz":
        return 200, kfp_server_api.V2beta1GetHealthzResponse(multi_user=True)
    if authorization != f"Bearer {api.token}":
        return 401, _error(16, "Failed to authorize with API: there is no user identity header")
    if resource == "experiments" and body is None:
        if not query.get("namespace"):
            return 400, _error(3, "Invalid input error: A namespace is required in multi-user mode")
        if query["namespace"] != NAMESPACE:
            return 403, _error(7, f"User is not authorized to list experiments in namespace {query['namespace']}")
        return 200, kfp_server_api.V2beta1ListExperimentsResponse(experiments=[])
    if resource == "experiments":
        return 200, kfp_server_api.V2beta1Experiment(experiment_id="experiment-1", display_name=body["display_name"])
    if resource == "runs":
        return 200, kfp_server_api.V2beta1Run(run_id="run-1", display_name=body["display_name"], state="PENDING")
    if resource == "recurringruns":
        return 200, kfp_server_api.V2beta1RecurringRun(recurring_run_id="recurring-1")
    if resource == "runs/run-1":
        if api.silent:
            api.silent -= 1
            return 503, _error(14, "upstream connect error")
        return 200, api.runs.pop(0) if len(api.runs) > 1 else api.runs[0]
    return 404, _error(5, f"{resource} not found")


def _error(code: int, message: str) -> dict[str, Any]:
    return {"error": message, "code": code, "message": message, "details": []}
