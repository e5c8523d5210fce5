"""The Kubernetes jobs that steps become: what their tags ask for, and what deploy/k8s/values.yaml gives all of them.

There is no cluster. A server on this machine takes the jobs as Kubernetes' API would, over HTTP, and runs the command
of each here, with the environment that the job gives it.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.reconstruct import ReconstructableRepository

pytest.importorskip("dagster_k8s", reason="pip install -e '.[k8s]'")

ROOT = Path(__file__).resolve().parents[2]
VALUES = ROOT / "deploy" / "k8s" / "values.yaml"
DEFINITIONS = """
import os
from pathlib import Path
import dagster as dg
from resources.gpu import executor_for, gpu

def note(name):
    Path(os.environ["NOTES"], name).write_text(os.environ["CS_STORE"])

@dg.asset
def table(): note("table")

@dg.asset(op_tags=gpu(1))
def adapter(): note("adapter")

@dg.asset(op_tags=gpu(2))
def large_adapter(): note("large_adapter")

defs = dg.Definitions([table, adapter, large_adapter], executor=executor_for())
"""


class Cluster(ThreadingHTTPServer):
    """What `jobs` holds was submitted to this stand-in, by the name of the step; `commands` are what it started."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Api)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.commands: list[subprocess.Popen[bytes]] = []

    def submit(self, job: dict[str, Any]) -> None:
        [container] = job["spec"]["template"]["spec"]["containers"]
        given = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.jobs[job["metadata"]["labels"]["dagster/op"]] = job
        self.commands.append(subprocess.Popen(container["args"], env=os.environ | {"PATH": path} | given))

    def kubeconfig(self, file: Path) -> Path:
        """Write the file by which a client finds this server."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{self.server_port}"}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "nobody"}}],
            "users": [{"name": "nobody", "user": {}}],
            "current-context": "here",
        }
        file.write_text(yaml.safe_dump(config))
        return file


class _Api(BaseHTTPRequestHandler):
    server: Cluster

    def do_POST(self) -> None:
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.submit(job)
        self._answer(job)

    def do_GET(self) -> None:  # the state of a job, which is asked for where a step takes long
        self._answer({"kind": "Job", "metadata": {}, "status": {"active": 1}})

    def _answer(self, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep the output of the tests free of requests."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
        for command in server.commands:
            command.kill()
            command.wait()


@pytest.fixture(scope="module")
def deployment() -> dict[str, Any]:
    [found] = yaml.safe_load(VALUES.read_text(encoding="utf-8"))["dagster-user-deployments"]["deployments"]
    return found


def container_context(deployment: dict[str, Any]) -> dict[str, Any]:
    """Return what Dagster's Helm chart makes of a deployment for what it launches."""
    assert deployment["includeConfigInLaunchedRuns"] == {"enabled": True}
    of_steps = {
        "image_pull_policy": deployment["image"]["pullPolicy"],
        "env_secrets": [secret["name"] for secret in deployment["envSecrets"]],
        "env": deployment["env"],
        "volumes": deployment["volumes"],
        "volume_mounts": deployment["volumeMounts"],
        "namespace": "dagster",
        "service_account_name": "dagster",
    }
    return {"k8s": of_steps}


@pytest.fixture(scope="module")
def pods(
    cluster: Cluster, deployment: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """The pods of a run with `CS_EXECUTOR=k8s`, whose steps need no, one and two GPUs, by the name of the step."""
    folder = tmp_path_factory.mktemp("k8s")
    (folder / "three.py").write_text(DEFINITIONS)
    launcher = {
        "service_account_name": "dagster",
        "instance_config_map": "dagster-instance",
        "dagster_home": str(folder),
        "load_incluster_config": False,
        "kubeconfig_file": str(cluster.kubeconfig(folder / "kubeconfig")),
    }
    image = f"{deployment['image']['repository']}:{deployment['image']['tag']}"
    repository = ReconstructableRepository.for_file(
        str(folder / "three.py"), "defs", str(ROOT), image, container_context(deployment)
    )
    overrides = {"run_launcher": {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": launcher}}
    with pytest.MonkeyPatch.context() as patch, dg.instance_for_test(overrides) as instance:
        for entry in deployment["env"]:  # as the process of a run finds it
            patch.setenv(entry["name"], entry["value"])
        patch.setenv("CS_GPU_NODES", "nvidia.com/gpu.product=H200, zone=a")
        patch.setenv("NOTES", str(folder))
        patch.setenv("PYTHONPATH", str(ROOT))
        result = dg.execute_job(repository.get_reconstructable_job("__ASSET_JOB"), instance)
        assert result.success
        assert (folder / "large_adapter").read_text() == "/store"
    return {step: job["spec"]["template"]["spec"] for step, job in cluster.jobs.items()}


def container(pod: dict[str, Any]) -> dict[str, Any]:
    [only] = pod["containers"]
    return only


def test_a_step_asks_for_the_gpus_of_its_tags_and_for_a_node_that_has_them(pods: dict[str, Any]) -> None:
    limits = {step: container(pod).get("resources", {}).get("limits") for step, pod in pods.items()}
    assert limits == {"table": None, "adapter": {"nvidia.com/gpu": "1"}, "large_adapter": {"nvidia.com/gpu": "2"}}
    labels = {"nvidia.com/gpu.product": "H200", "zone": "a"}
    assert [pods[step].get("nodeSelector") for step in limits] == [
        None if step == "table" else labels for step in limits
    ]
    allowed = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert {step: pod.get("tolerations") for step, pod in pods.items()} == {
        "table": None,
        "adapter": allowed,
        "large_adapter": allowed,
    }


def test_gpus_that_train_together_have_shared_memory_and_others_the_store_alone(pods: dict[str, Any]) -> None:
    memory = {"name": "shared-memory", "mountPath": "/dev/shm"}
    for step, pod in pods.items():
        mounts = container(pod)["volumeMounts"]
        assert {"name": "store", "mountPath": "/store"} in mounts
        assert {"name": "store", "persistentVolumeClaim": {"claimName": "cs-assets-store"}} in pod["volumes"]
        assert (memory in mounts) is (step == "large_adapter")
    assert {"name": "shared-memory", "emptyDir": {"medium": "Memory"}} in pods["large_adapter"]["volumes"]


def test_every_step_has_the_image_the_environment_and_the_secret_of_the_deployment(
    pods: dict[str, Any], deployment: dict[str, Any]
) -> None:
    for pod in pods.values():
        assert container(pod)["image"] == "registry.example/cs-assets:0.1.0"
        assert container(pod)["imagePullPolicy"] == "IfNotPresent"
        given = {entry["name"]: entry.get("value") for entry in container(pod)["env"]}
        assert {entry["name"]: entry["value"] for entry in deployment["env"]}.items() <= given.items()
        assert given["CS_STORE"] == "/store"
        assert {"secretRef": {"name": "cs-assets"}} in container(pod)["envFrom"]
