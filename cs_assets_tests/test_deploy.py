"""The files in deploy/: they parse, agree with what is pinned, and name only what there is."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config

from resources.gpu import CLUSTER_EXECUTORS

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"


def content(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def pinned(package: str) -> str:
    found = re.search(rf"^{package}==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert found, package
    return found[1]


def test_every_yaml_file_parses() -> None:
    files = sorted(path.relative_to(DEPLOY).as_posix() for path in DEPLOY.rglob("*.yaml"))
    assert files == ["k8s/store.yaml", "k8s/values.yaml", "ray/cluster.yaml", "ray/dagster.yaml", "ray/run.yaml"]
    assert all(isinstance(content(name), dict) for name in files)


def test_versions_are_those_of_the_constraints() -> None:
    assert content("ray/cluster.yaml")["spec"]["rayVersion"] == pinned("ray")
    assert f"--version {pinned('dagster')} " in (DEPLOY / "k8s" / "values.yaml").read_text()


def test_all_nodes_of_the_ray_cluster_run_one_image_with_the_store_and_a_token() -> None:
    spec = content("ray/cluster.yaml")["spec"]
    pods = [group["template"]["spec"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]
    [values] = content("k8s/values.yaml")["dagster-user-deployments"]["deployments"]
    for pod in pods:
        [container] = pod["containers"]
        assert container["image"] == f"{values['image']['repository']}:{values['image']['tag']}"
        assert container["volumeMounts"] == values["volumeMounts"]
        assert pod["volumes"] == values["volumes"]
        assert {entry["name"] for entry in container["env"]} == {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"}
        assert container["envFrom"] == [{"secretRef": secret} for secret in values["envSecrets"]]


def test_the_volume_claim_is_the_one_that_pods_mount_and_can_be_written_from_several_nodes() -> None:
    claim = content("k8s/store.yaml")
    [values] = content("k8s/values.yaml")["dagster-user-deployments"]["deployments"]
    assert values["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


def test_what_is_written_beside_the_store_is_in_the_volume_too() -> None:
    """An answer that was paid for outlives the pod that asked, and the user of the image may write it."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    [line] = re.findall(r"^ENV (.+)$", text, re.MULTILINE)
    settings = dict(setting.split("=") for setting in line.split())
    assert settings["CS_STORE"] == "/store"
    assert all(settings[name].startswith("/store/") for name in ("CS_LLM_CACHE", "CS_MODEL_CACHE"))
    assert "chown cs /opt/dagster/dagster_home /store" in text
    [values] = content("k8s/values.yaml")["dagster-user-deployments"]["deployments"]
    of_runs = content("k8s/values.yaml")["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]["podSpecConfig"]
    spec = content("ray/cluster.yaml")["spec"]
    of_nodes = [group["template"]["spec"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]
    groups = [values["podSecurityContext"], *(pod["securityContext"] for pod in (of_runs, *of_nodes))]
    assert groups == [{"fsGroup": 1000}] * 4


def test_what_the_image_copies_is_there_and_sent_to_the_builder() -> None:
    lines = (DEPLOY / "Containerfile").read_text(encoding="utf-8").splitlines()
    copied = [source for line in lines if line.startswith("COPY ") for source in line.split()[1:-1]]
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(copied) == sorted(sent)
    assert all((ROOT / source).exists() for source in copied)
    [extras] = re.findall(r"'\.\[(.+)\]'", "\n".join(lines))
    known = re.search(r"^\[project.optional-dependencies\]\n((?:.+\n)+)", (ROOT / "pyproject.toml").read_text(), re.M)
    assert known
    assert {*extras.split(",")} <= {line.split(" = ")[0] for line in known[1].splitlines()}
    assert {*CLUSTER_EXECUTORS} <= {*extras.split(",")}


def test_the_run_config_is_one_that_the_ray_executor_takes() -> None:
    ray = pytest.importorskip("dagster_ray.core.executor", reason="pip install -e '.[ray]'")
    told = content("ray/run.yaml")["execution"]["config"]["ray"]
    assert told.keys() <= ray.RayExecutorConfig.model_fields.keys()
    assert "num_gpus" not in told  # it would take the place of what each step asks for


def test_the_instance_is_one_that_dagster_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dagster_postgres", reason="pip install -e '.[ray]'")
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "postgresql://somebody:secret@127.0.0.1:9/dagster")
    config, _ = dagster_instance_config(str(DEPLOY / "ray"))
    assert config["storage"] == {"postgres": {"postgres_url": {"env": "DAGSTER_POSTGRES_URL"}}}
    assert config["concurrency"] == yaml.safe_load((ROOT / "dagster.yaml").read_text())["concurrency"]
