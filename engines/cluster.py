"""A cluster of processes: a manager, two nodes, a pool of Beam workers beside each, and Beam's job server in front.

Everything listens on loopback addresses alone, but the job server, which has no option for it. What a node shows its
Beam steps as `worker-pool` is its own pool, as `localhost` is in a pod: each node has a file of host names of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import Literal, NamedTuple

from pipeline.beam import WORKER_SECONDS, Beam

NODES = (1, 2)
START_SECONDS, STOP_SECONDS = 300, 10

Engine = Literal["flink", "spark"]

FLINK_MUST = {
    # With Beam's classes from the node's own class path, workers outlive the stage that they were started for.
    "classloader.resolve-order": "parent-first",
    # StatisticsGen's job has so many exchanges at once that with Flink's 512 buffers for each 128 MB are too few.
    "taskmanager.network.sort-shuffle.min-buffers": 64,
    # A lost worker is kept for WORKER_SECONDS. Until then what it did is given to it again, and each time counts.
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": 10,
    "restart-strategy.fixed-delay.delay": f"{WORKER_SECONDS + 10} s",
}
"""What any Flink cluster must be told for the pipeline's jobs."""

_HERE = pathlib.Path(__file__).parent
# Small heaps and quick starts. Both engines and Beam reach into the JDK's own packages.
_JAVA = (
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    *(
        f"--add-opens=java.base/{package}=ALL-UNNAMED"
        for package in (
            *("java.io", "java.lang", "java.lang.invoke", "java.lang.reflect", "java.net", "java.nio", "java.text"),
            *("java.time", "java.util", "java.util.concurrent", "java.util.concurrent.atomic"),
            *("java.util.concurrent.locks", "sun.nio.ch", "sun.nio.cs", "sun.security.action", "sun.util.calendar"),
        )
    ),
)


class MissingToolError(RuntimeError):
    """Java, Maven or the jars cannot be had; the message says which and what to do."""


class Service(NamedTuple):
    """One process of the cluster, and where it listens once it is up."""

    command: tuple[str, ...]
    address: tuple[str, int]
    environment: dict[str, str]


class Cluster:
    """Starts the engine's processes; leaving the context ends them all, with everything that they started.

    Args:
        engine: flink or spark.
        folder: for logs (NAME.log) and temporary files: of Java in tmp/, of pools and workers in tmp_workers/.

    Raises:
        MissingToolError: see there.
        RuntimeError: a process did not come up; the message names its log.
    """

    def __init__(self, engine: Engine, folder: pathlib.Path) -> None:
        self.folder = folder
        for made in ("tmp", "tmp_workers"):
            (folder / made).mkdir(parents=True, exist_ok=True)
        names = ("manager", "rpc", "job_server", "pool", "node_1", "node_2")
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        self._services = _services(engine, folder, ports)
        self._processes: dict[str, subprocess.Popen] = {}
        self.beam = Beam(
            engine,
            job_endpoint=f"localhost:{ports['job_server']}",
            flink_master=f"127.0.0.1:{ports['manager']}" if engine == "flink" else "",
            worker_pool=f"worker-pool:{ports['pool']}",
            workers=len(NODES) if engine == "flink" else 0,
        )
        self.flags = [
            word
            for name, value in dataclasses.asdict(self.beam).items()
            if value != getattr(Beam, name)
            for word in (f"--beam.{name.replace('_', '-')}", str(value))
        ]

    def __enter__(self) -> Cluster:
        try:
            for name in self._services:
                self.start(name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Asks every process to end, and kills what does not."""
        for name in reversed(self._processes):
            self._signal(name, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for name, process in self._processes.items():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            self.kill(name)

    def log(self, name: str) -> str:
        """What a process has said so far."""
        return (self.folder / f"{name}.log").read_text()

    def start(self, name: str) -> None:
        """Starts a process, anew where it was started before, and waits until it listens."""
        if name in self._processes:
            self.kill(name)
        service = self._services[name]
        with (self.folder / f"{name}.log").open("a") as log:
            self._processes[name] = process = subprocess.Popen(
                service.command,
                stdout=log,
                stderr=log,
                env={**os.environ, **service.environment},
                cwd=_HERE.parent,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(service.address, timeout=1):
                return
            time.sleep(0.1)
        raise RuntimeError(f"{name} did not come up: see {self.folder / name}.log")

    def kill(self, name: str) -> None:
        """A process and all that it started die at once, as a machine or a pod does."""
        self._signal(name, signal.SIGKILL)
        self._processes[name].wait()

    def _signal(self, name: str, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._processes[name].pid, number)


def classpath(engine: Engine) -> str:
    """The jars of engines/ENGINE/pom.xml, which Maven fetches into its own repository once.

    Raises:
        MissingToolError: see there.
    """
    for tool, what in (("java", "Java 17"), ("mvn", "Maven")):
        if not shutil.which(tool):
            raise MissingToolError(f"{tool} was not found: install {what}, which {engine} needs")
    pom = _HERE / engine / "pom.xml"
    found = pom.parent / "target" / "classpath"
    if not found.exists() or found.stat().st_mtime < pom.stat().st_mtime:
        arguments = ("--batch-mode", "--quiet", "--file", str(pom), f"-Dmdep.outputFile={found}")
        maven = subprocess.run(
            ["mvn", *arguments, "dependency:build-classpath"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if maven.returncode:
            found.unlink(missing_ok=True)
            error = next((line for line in maven.stdout.splitlines() if "ERROR" in line), "it said nothing")
            raise MissingToolError(f"Maven could not fetch the jars of {pom}: {error}")
    return found.read_text()


def free_ports(count: int) -> list[int]:
    """From below those that Linux gives to connections, one of which could take it before it is listened at."""
    found: set[int] = set()
    while len(found) < count:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            found.add(port)
    return list(found)


def _services(engine: Engine, folder: pathlib.Path, ports: dict[str, int]) -> dict[str, Service]:
    """All processes, in the order of their start."""
    jars, services = classpath(engine), {}
    environment = {
        "TMPDIR": f"{folder}/tmp_workers",
        "JAVA_TOOL_OPTIONS": f"-Djava.io.tmpdir={folder}/tmp",
        # What a Spark installation is told: its nodes start executors with the jars of SPARK_HOME.
        "SPARK_HOME": str(folder),
        "SPARK_LOCAL_DIRS": f"{folder}/tmp",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_SCALA_VERSION": "2.12",
    }
    of_nodes = {}
    for node in NODES:
        host, port = f"127.0.0.{node + 1}", ports["pool"]
        pool = (sys.executable, "-m", "pipeline.worker_pool", f"{host}:{port}")
        services[f"pool_{node}"] = Service(pool, (host, port), environment)
        # A node, and every JVM that it starts, finds its own pool.
        hosts = folder / f"hosts_{node}"
        hosts.write_text(f"127.0.0.1 localhost {socket.gethostname()}\n{host} worker-pool\n")
        of_nodes[f"node_{node}"] = {"JDK_JAVA_OPTIONS": f"-Djdk.net.hosts.file={hosts}"}
    described = {"flink": _flink, "spark": _spark}[engine](folder, jars, ports)
    listens = (f"--job-port={ports['job_server']}", "--artifact-port=0", "--expansion-port=-1")
    described["job_server"] += ("--job-host=localhost", *listens, f"--artifacts-dir={folder}/artifacts")
    for name, arguments in described.items():
        java = ("java", *_JAVA, "-cp", jars, *arguments)
        services[name] = Service(java, ("127.0.0.1", ports[name]), {**environment, **of_nodes.get(name, {})})
    return services


Arguments = dict[str, tuple[str, ...]]
"""What Java is told for the manager, the nodes and the job server."""


def _flink(folder: pathlib.Path, jars: str, ports: dict[str, int]) -> Arguments:
    settings = {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": ports["rpc"],
        "jobmanager.bind-host": "127.0.0.1",
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.port": ports["manager"],
        "taskmanager.host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        "taskmanager.cpu.cores": 1,
        # One node has room for a job of both, and gets half of it while there are two.
        "taskmanager.numberOfTaskSlots": len(NODES),
        "taskmanager.load-balance.mode": "SLOTS",
        "taskmanager.memory.framework.heap.size": "128m",
        "taskmanager.memory.framework.off-heap.size": "64m",
        "taskmanager.memory.task.heap.size": "384m",
        "taskmanager.memory.task.off-heap.size": "64m",
        "taskmanager.memory.network.min": "128m",
        "taskmanager.memory.network.max": "128m",
        "taskmanager.memory.managed.size": "128m",
        "taskmanager.memory.jvm-metaspace.size": "256m",
        "taskmanager.memory.jvm-overhead.min": "128m",
        "taskmanager.memory.jvm-overhead.max": "128m",
        "io.tmp.dirs": folder / "tmp",
        "web.tmpdir": folder / "tmp",
        # A lost node is noticed after two beats.
        "heartbeat.interval": 2000,
        **FLINK_MUST,
    }
    (folder / "config.yaml").write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))
    runtime, given = "org.apache.flink.runtime", ("--configDir", str(folder))
    node = (f"{runtime}.taskexecutor.TaskManagerRunner", *given, "-D")
    driver = "org.apache.beam.runners.flink.FlinkJobServerDriver"
    return {
        "manager": (f"{runtime}.entrypoint.StandaloneSessionClusterEntrypoint", *given),
        **{name: (*node, f"taskmanager.rpc.port={ports[name]}") for name in ("node_1", "node_2")},
        "job_server": (driver, f"--flink-master=127.0.0.1:{ports['manager']}"),
    }


def _spark(folder: pathlib.Path, jars: str, ports: dict[str, int]) -> Arguments:
    (folder / "jars").mkdir()
    for jar in map(pathlib.Path, jars.split(os.pathsep)):
        (folder / "jars" / jar.name).symlink_to(jar)
    deploy, url = "org.apache.spark.deploy", f"spark://127.0.0.1:{ports['manager']}"
    at = ("--host", "127.0.0.1", "--webui-port", "0", "--port")
    settings = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.executor.memory": "512m",
        "spark.executor.cores": 1,
        "spark.ui.enabled": "false",
        # A task that failed goes to another executor: the worker of this one may be dead, and would be taken again.
        "spark.excludeOnFailure.enabled": "true",
    }
    told = (f"-D{key}={value}" for key, value in settings.items())
    size = ("--cores", "1", "--memory", "640m", "--work-dir")
    return {
        "manager": (f"{deploy}.master.Master", *at, str(ports["manager"])),
        **{
            name: (f"{deploy}.worker.Worker", *at, str(ports[name]), *size, f"{folder}/work_{name}", url)
            for name in ("node_1", "node_2")
        },
        "job_server": (*told, "org.apache.beam.runners.spark.SparkJobServerDriver", f"--spark-master-url={url}"),
    }
