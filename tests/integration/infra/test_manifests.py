"""Kubernetes, the edge: what its manifests say holds when their command runs here with exactly their environment."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from infra.stack.plan import ROOT
from shared import keys, tokens
from shared.settings import EdgeSettings, is_secret, load, variable
from shared.storage.s3 import S3Bucket
from tests.support import pods
from tests.support.certificates import certificate_in
from tests.support.edge import SEGMENT, SEGMENT_BYTES, claims
from tests.support.jwks import KeyServer, key_server
from tests.support.pods import OVERLAYS, Pod, Resource, built, environment, one, size, template
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, S3Server
from tests.support.valkey import Valkey

SECRETS = {"redis-url": "redis://redis:6379/0", "s3-access-key": ACCESS_KEY, "s3-secret-key": SECRET_KEY}
OLDEST, NEWEST = "1.30", "1.37"


@pytest.fixture(scope="module", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest, tools: Path) -> list[Resource]:
    return built(tools, request.param, "edge")


@pytest.fixture
def control() -> Iterator[KeyServer]:
    with key_server() as server:
        yield server


@pytest.fixture
def key_set(control: KeyServer) -> keys.KeySet:
    made = keys.new_key_set()
    control.publish(made)
    return made


@pytest.fixture
def pod(overlay: list[Resource], tmp_path: Path, objects: S3Server, valkey_server: Valkey, *,
        control: KeyServer, key_set: keys.KeySet) -> Iterator[Pod]:  # fmt: skip
    """The edge's pod, running, with a title in its bucket."""
    bucket = environment(overlay, SECRETS)["USHER_BUCKET"].removeprefix("s3://")
    asyncio.run(fill(objects, bucket))
    replaced = {"USHER_REDIS_URL": valkey_server.url, "USHER_JWKS_URL": control.url,
                "USHER_S3_ENDPOINT": objects.endpoint}  # fmt: skip
    made = Pod(overlay, tmp_path, secrets=SECRETS, replaced=replaced)
    if "USHER_TLS_CERT" in made.environ:
        certificate = certificate_in(made.mounted("/tls"))
        certificate.certificate.rename(made.environ["USHER_TLS_CERT"])
        certificate.key.rename(made.environ["USHER_TLS_KEY"])
        made.tls = msgspec.structs.replace(certificate, certificate=Path(made.environ["USHER_TLS_CERT"])).trusting()
    try:
        made.start()
        yield made
    finally:
        made.kill()


async def fill(objects: S3Server, bucket: str) -> None:
    await objects.make_bucket(bucket)
    put = S3Bucket(bucket, endpoint=objects.endpoint, region=objects.region, access_key=ACCESS_KEY,
                   secret_key=SECRET_KEY)  # fmt: skip
    await put.put(SEGMENT, SEGMENT_BYTES)
    await put.close()


def link_to(path: str, key_set: keys.KeySet, **changes: Any) -> str:
    return f"/t/{tokens.mint(claims(time.time(), **changes), keys.signing_key(key_set))}/{path}"


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_overlay_is_what_kubernetes_takes(overlay: list[Resource], tools: Path, tmp_path: Path, version: str) -> None:
    known = [resource for resource in overlay if "monitoring.coreos.com" not in resource["apiVersion"]]
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(known))
    command = [str(tools / "kubernetes-validate"), "--strict", "-k", version, str(tmp_path / "all.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0 and said.count(" passed for resource ") == len(known), said


def test_every_variable_is_a_setting_with_a_good_value(overlay: list[Resource]) -> None:
    given = environment(overlay, SECRETS)
    assert set(given) <= {variable(name) for name in EdgeSettings.__struct_fields__}
    assert load(EdgeSettings, given).drain_s == 5


def test_what_is_secret_comes_from_a_secret(overlay: list[Resource]) -> None:
    config = one(overlay, "ConfigMap")["data"]
    assert not [
        name for name in EdgeSettings.__struct_fields__ if is_secret(EdgeSettings, name) and variable(name) in config
    ]


def test_pod_has_no_rights_it_does_not_need(overlay: list[Resource]) -> None:
    spec = template(overlay)
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["securityContext"]["runAsNonRoot"] is True and spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert {"cpu", "memory"} <= container["resources"]["limits"].keys()


def test_whatever_is_written_lies_on_a_volume_that_holds_it(overlay: list[Resource]) -> None:
    spec = template(overlay)
    (container,) = spec["containers"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    writable = {
        mount["mountPath"]: volumes[mount["name"]]["emptyDir"]
        for mount in container["volumeMounts"]
        if "emptyDir" in volumes[mount["name"]]
    }
    given = environment(overlay, SECRETS)
    for name in ("USHER_HOME", "USHER_JWKS_FILE", "USHER_CACHE_DISK_DIR"):
        assert any(Path(given[name]).is_relative_to(mount) for mount in writable), name
    assert "/tmp" in writable  # noqa: S108 - a path in the pod
    assert size(writable["/cache"]["sizeLimit"]) > int(given["USHER_CACHE_DISK_BYTES"])
    whole = sum(size(volume["sizeLimit"]) for volume in writable.values())
    assert size(container["resources"]["limits"]["ephemeral-storage"]) > whole
    assert size(container["resources"]["limits"]["memory"]) > 2 * int(given["USHER_CACHE_RAM_BYTES"]) - (256 << 20)


def test_time_to_leave_is_enough(overlay: list[Resource]) -> None:
    settings = load(EdgeSettings, environment(overlay, SECRETS))
    assert settings.drain_s + settings.stop_s < template(overlay)["terminationGracePeriodSeconds"] <= 30


def test_network_policy_lets_through_what_the_edge_asks_and_no_more(overlay: list[Resource]) -> None:
    rules = one(overlay, "NetworkPolicy")["spec"]
    assert set(rules["policyTypes"]) == {"Ingress", "Egress"}
    out = {(port["port"], port.get("protocol", "TCP")) for rule in rules["egress"] for port in rule["ports"]}
    given = environment(overlay, SECRETS)
    bucket = int((re.search(r":(\d+)$", given.get("USHER_S3_ENDPOINT", "")) or ["", "443"])[1])
    control = int(re.search(r":(\d+)/", given["USHER_JWKS_URL"])[1])  # type: ignore[index]
    assert out == {(53, "UDP"), (53, "TCP"), (6379, "TCP"), (control, "TCP"), (bucket, "TCP")}
    assert all(rule["to"] for rule in rules["egress"])
    assert pods.peers(rules) == {"kube-dns", "redis", "control"} | ({"objects"} if bucket == 9000 else set())
    named = {port["name"] for port in template(overlay)["containers"][0]["ports"]}
    assert {port["port"] for rule in rules["ingress"] for port in rule["ports"]} == named


def test_everything_is_chosen_by_the_labels_of_the_pods(overlay: list[Resource]) -> None:
    deployment = one(overlay, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    chosen = [deployment["spec"]["selector"]["matchLabels"], one(overlay, "Service")["spec"]["selector"]]
    chosen.append(one(overlay, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"])
    chosen.append(one(overlay, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"])
    chosen += [r["spec"]["selector"]["matchLabels"] for r in overlay if r["kind"] == "PodMonitor"]
    chosen += [each["labelSelector"]["matchLabels"] for each in template(overlay)["topologySpreadConstraints"]]
    assert all(choice and choice.items() <= labels for choice in chosen)
    assert one(overlay, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]


def scaled_by(overlay: list[Resource], kind: str) -> set[str]:
    """What the autoscaler looks at: resources of the pods, or metrics they tell."""
    metrics = one(overlay, "HorizontalPodAutoscaler")["spec"]["metrics"]
    return {
        m["resource"]["name"] if kind == "Resource" else m["pods"]["metric"]["name"]
        for m in metrics
        if m["type"] == kind
    }


def test_pod_serves_and_leaves_as_its_manifest_says(pod: Pod, overlay: list[Resource], key_set: keys.KeySet) -> None:
    assert pod.probe("livenessProbe") == 200
    families = text_string_to_metric_families(pod.get("/metrics", port="private")[1].decode())
    assert scaled_by(overlay, "Pods") <= {sample.name for family in families for sample in family.samples}
    address = link_to(SEGMENT, key_set)
    with contextlib.closing(pod.link()) as kept:
        assert ask(kept, address) == (200, SEGMENT_BYTES, None)
        leaving = pod.pre_stop()
        pod.until(lambda: pod.probe("readinessProbe") == 503)
        assert leaving.poll() is None and pod.probe("livenessProbe") == 200
        assert ask(kept, address) == (200, SEGMENT_BYTES, "close")
    assert pod.get(address) == (200, SEGMENT_BYTES)
    assert leaving.wait(int(pod.environ["USHER_DRAIN_S"]) + 10) == 0
    assert pod.stop() == 0


def ask(link: http.client.HTTPConnection, address: str) -> tuple[int, bytes, str | None]:
    """Status, body, and what is said of the connection."""
    link.request("GET", address)
    with link.getresponse() as answer:
        return answer.status, answer.read(), answer.getheader("connection")


def test_production_is_scaled_by_what_is_in_flight(tools: Path) -> None:
    production = built(tools, "production", "edge")
    assert scaled_by(production, "Resource") == {"cpu"} and scaled_by(production, "Pods") == {"usher_edge_in_flight"}


def test_every_overlay_and_part_is_tried() -> None:
    assert {path.name for path in (ROOT / "k8s" / "overlays").iterdir()} == set(OVERLAYS) == set(pods.PARTS)


@pytest.mark.parametrize("name", OVERLAYS)
def test_overlay_holds_its_parts_and_nothing_else(tools: Path, name: str) -> None:
    counted = sum(len(built(tools, name, part)) for part in pods.PARTS[name])
    assert counted == len(pods.whole(tools, name))
