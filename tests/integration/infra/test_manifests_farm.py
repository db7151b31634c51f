"""Kubernetes, the farm: what its manifests say holds when their command runs here with exactly their environment."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import jsonschema
import msgspec
import pytest
import yaml
from redis.asyncio import Redis

from gateway.control.worker.broker import Broker
from shared.events import FARM_STREAM
from shared.jobs import (
    CPU_QUEUE,
    GPU_QUEUE,
    PROBE_CHUNK,
    ChunkTicket,
    Message,
    Planned,
    ProbeTicket,
    Progress,
    Ticket,
)
from shared.need import FIRST, Needs, Offer, score, work_of
from shared.settings import FarmSettings, is_secret, load, variable
from shared.storage.s3 import S3Bucket
from tests.support import keda, media, pods, promql
from tests.support.pods import Pod, Resource, built, environment, one, size, template
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, S3Server

Value = TypeVar("Value")
MASTER = "masters/ttl_1/upl_1"
SECRETS = {"redis-url": "redis://redis:6379/0", "s3-access-key": ACCESS_KEY, "s3-secret-key": SECRET_KEY}
OLDEST, NEWEST = "1.30", "1.37"
#: What is no setting of ours: which parts of the driver the container runtime lets in.
DRIVER = "NVIDIA_DRIVER_CAPABILITIES"
EACH = [(name, part) for name, parts in pods.PARTS.items() for part in parts if part.startswith("farm")]
SCALED = [(name, part) for name, part in EACH if name != "small"]
#: Seconds in which work goes back after SIGTERM.
HAND_BACK_S = 10


@pytest.fixture(scope="module", params=EACH, ids="-".join)
def part(request: pytest.FixtureRequest, tools: Path) -> list[Resource]:
    return built(tools, *request.param)


@pytest.fixture
async def pod(part: list[Resource], tmp_path: Path, objects: S3Server, redis_url: str) -> AsyncIterator[Pod]:
    """A worker's pod, running."""
    await objects.make_bucket(environment(part, SECRETS)["USHER_BUCKET"].removeprefix("s3://"))
    replaced = {"USHER_REDIS_URL": redis_url, "USHER_S3_ENDPOINT": objects.endpoint}
    made = Pod(part, tmp_path, secrets=SECRETS, replaced=replaced)
    try:
        made.start()
        yield made
    finally:
        made.kill()


def settings_of(part: list[Resource]) -> FarmSettings:
    given = environment(part, SECRETS)
    given.pop(DRIVER, None)
    return load(FarmSettings, given)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_part_is_what_kubernetes_takes(part: list[Resource], tools: Path, tmp_path: Path, version: str) -> None:
    foreign = ("monitoring.coreos.com", "keda.sh")
    known = [each for each in part if not each["apiVersion"].startswith(foreign)]
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(known))
    command = [str(tools / "kubernetes-validate"), "--strict", "-k", version, str(tmp_path / "all.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0 and said.count(" passed for resource ") == len(known), said


def test_every_variable_is_a_setting_with_a_good_value(part: list[Resource]) -> None:
    given = set(environment(part, SECRETS)) - {DRIVER}
    assert given <= {variable(name) for name in FarmSettings.__struct_fields__}
    assert settings_of(part).worker_name == pods.POD


def test_what_is_secret_comes_from_a_secret(part: list[Resource]) -> None:
    config = one(part, "ConfigMap")["data"]
    assert not [
        name for name in FarmSettings.__struct_fields__ if is_secret(FarmSettings, name) and variable(name) in config
    ]


def test_pod_has_no_rights_it_does_not_need(part: list[Resource]) -> None:
    spec = template(part)
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
    assert spec["serviceAccountName"] == one(part, "ServiceAccount")["metadata"]["name"]


def test_settings_stay_within_what_the_container_has(part: list[Resource]) -> None:
    spec, settings = template(part), settings_of(part)
    (container,) = spec["containers"]
    limits = container["resources"]["limits"]
    assert settings.threads == int(limits["cpu"])
    assert settings.memory_bytes + (256 << 20) < size(limits["memory"])
    volumes = {volume["name"]: volume["emptyDir"] for volume in spec["volumes"]}
    mounts = {mount["mountPath"]: size(volumes[mount["name"]]["sizeLimit"]) for mount in container["volumeMounts"]}
    assert mounts["/scratch"] > settings.masters_quota_bytes + settings.scratch_quota_bytes
    assert size(limits["ephemeral-storage"]) > sum(mounts.values())
    for written in (settings.home, settings.scratch_dir, Path("/tmp")):  # noqa: S108 - a path in the pod
        assert any(written.is_relative_to(mount) for mount in mounts), written


def test_network_policy_lets_through_what_the_farm_asks_and_no_more(part: list[Resource]) -> None:
    rules = one(part, "NetworkPolicy")["spec"]
    assert set(rules["policyTypes"]) == {"Ingress", "Egress"}
    out = {(port["port"], port.get("protocol", "TCP")) for rule in rules["egress"] for port in rule["ports"]}
    endpoint = environment(part, SECRETS).get("USHER_S3_ENDPOINT", "")
    bucket = int((re.search(r":(\d+)$", endpoint) or ["", "443"])[1])
    assert out == {(53, "UDP"), (53, "TCP"), (6379, "TCP"), (bucket, "TCP")}
    assert all(rule["to"] for rule in rules["egress"])
    assert pods.peers(rules) == {"kube-dns", "redis"} | ({"objects"} if bucket == 9000 else set())
    (rule,) = rules["ingress"]
    assert rule["ports"] == [{"port": "private"}] and rule["from"]


def test_everything_is_chosen_by_the_labels_of_the_pods(part: list[Resource]) -> None:
    deployment = one(part, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    chosen = [deployment["spec"]["selector"]["matchLabels"]]
    chosen.append(one(part, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"])
    chosen.append(one(part, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"])
    chosen += [r["spec"]["selector"]["matchLabels"] for r in part if r["kind"] == "PodMonitor"]
    chosen += [each["labelSelector"]["matchLabels"] for each in template(part)["topologySpreadConstraints"]]
    name = deployment["metadata"]["name"]
    assert all(choice["app.kubernetes.io/name"] == name and choice.items() <= labels for choice in chosen)


@pytest.mark.parametrize(("overlay", "name"), SCALED)
def test_pool_is_scaled_by_the_media_of_its_own_queue(tools: Path, overlay: str, name: str) -> None:
    part = built(tools, overlay, name)
    scaled = one(part, "ScaledObject")
    keda.check(scaled)
    spec = scaled["spec"]
    assert spec["scaleTargetRef"]["name"] == one(part, "Deployment")["metadata"]["name"] == name
    # Without a card none would be planned for: the worker that looks at a master decides.
    assert 1 <= spec["minReplicaCount"] <= spec["maxReplicaCount"]
    (trigger,) = spec["triggers"]
    (question,) = promql.read(tools, [trigger["metadata"]["query"]])
    queue = GPU_QUEUE if name == "farm-gpu" else CPU_QUEUE
    assert sorted(question.series) == [
        ("usher_farm_running_media_seconds", [("queue", "=", queue)]),
        ("usher_farm_waiting_media_seconds", [("queue", "=", queue)]),
    ]
    # No answer is no zero, or busy pods would be ended for want of a figure.
    assert trigger["metadata"]["ignoreNullValues"] == "false"


def test_misspelt_field_of_a_scaled_object_is_noticed(tools: Path) -> None:
    scaled = one(built(tools, "production", "farm-cpu"), "ScaledObject")
    scaled["spec"]["minReplicas"] = scaled["spec"].pop("minReplicaCount")
    with pytest.raises(jsonschema.ValidationError, match="minReplicas"):
        keda.check(scaled)


def test_only_pods_with_a_card_go_where_cards_are(tools: Path) -> None:
    cpu, gpu = (built(tools, "production", name) for name in ("farm-cpu", "farm-gpu"))
    limits = [template(part)["containers"][0]["resources"] for part in (cpu, gpu)]
    assert "nvidia.com/gpu" not in limits[0]["limits"]
    assert limits[1]["limits"]["nvidia.com/gpu"] == limits[1]["requests"]["nvidia.com/gpu"] == "1"
    spec = template(gpu)
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert (spec["runtimeClassName"], environment(gpu, SECRETS)[DRIVER]) == ("nvidia", "compute,video,utility")
    assert "tolerations" not in template(cpu) and settings_of(cpu).encoder == "x264"


def test_small_has_no_scaler_and_one_worker(tools: Path) -> None:
    part = built(tools, "small", "farm-cpu")
    assert not [each for each in part if each["kind"] == "ScaledObject"]
    assert one(part, "Deployment")["spec"].get("replicas", 1) == 1


def test_pod_leaves_in_time_without_a_hook(part: list[Resource]) -> None:
    # Nobody is sent to a worker, so there is nothing to look away from first.
    assert template(part)["terminationGracePeriodSeconds"] >= 2 * HAND_BACK_S
    assert "lifecycle" not in template(part)["containers"][0]


async def test_pod_works_and_gives_its_work_back_when_it_is_told_to_go(
    pod: Pod, objects: S3Server, redis: Redis
) -> None:
    assert pod.probe("livenessProbe") == 200
    needs, bucket = Needs(redis, lease_s=15), bucket_of(pod, objects)
    try:
        await bucket.put_file(MASTER, media.master("minute.mp4", *media.picture("640x360", seconds=60), *media.H264))
        await offer(pod, needs, "job_1", PROBE_CHUNK, ProbeTicket("job_1", "ttl_1", "upl_1", MASTER, ""))
        version = await planned(pod, redis)
        await offer(pod, needs, version, "1", ChunkTicket("job_1", "ttl_1", version, "1"))
        owner = await pod_until(pod, lambda: holder(needs, work_of(version, "1")))
        assert owner.partition("/")[0] == pods.POD
        await pod_until(pod, lambda: began(redis))
        pod.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(pod.process.wait, HAND_BACK_S) == 0
        assert await needs.leased([work_of(version, "1")]) == {work_of(version, "1"): False}
        assert await needs.held([work_of(version, "1")]) == {work_of(version, "1"): True}
        assert list((pod.mounted("/scratch") / "chunks").iterdir()) == []
    finally:
        await bucket.close()


def bucket_of(pod: Pod, objects: S3Server) -> S3Bucket:
    name = pod.environ["USHER_BUCKET"].removeprefix("s3://")
    return S3Bucket(
        name, endpoint=objects.endpoint, region=objects.region, access_key=ACCESS_KEY, secret_key=SECRET_KEY
    )


async def offer(pod: Pod, needs: Needs, plan: str, chunk: str, ticket: Ticket) -> None:
    """Let a piece be taken, as control does."""
    await needs.offer(Offer(plan, CPU_QUEUE, "slr_1", 0, 20.0, 1, {chunk: ticket}, {chunk: score(FIRST)}))
    await Broker(pod.environ["USHER_REDIS_URL"]).top_up({CPU_QUEUE: 1})


async def planned(pod: Pod, redis: Redis) -> str:
    """The version, once the probe has told of it."""

    async def told() -> str | None:
        return next((each.version for each in await messages(redis) if isinstance(each, Planned)), None)

    return await pod_until(pod, told)


async def holder(needs: Needs, work: str) -> str | None:
    return (await needs.owners()).get(work)


async def began(redis: Redis) -> bool | None:
    """Whether ffmpeg has told how far it is."""
    return True if any(isinstance(each, Progress) for each in await messages(redis)) else None


async def messages(redis: Redis) -> list[Message]:
    return [msgspec.json.decode(fields[b"e"], type=Message) for _, fields in await redis.xrange(FARM_STREAM)]


async def pod_until(pod: Pod, ask: Callable[[], Awaitable[Value | None]]) -> Value:
    """The answer, once there is one, while the pod runs."""
    deadline = asyncio.get_running_loop().time() + pods.START_WITHIN_S
    while (value := await ask()) is None:
        assert pod.process.poll() is None, (pod.folder / "pod.log").read_text()
        assert asyncio.get_running_loop().time() < deadline, (pod.folder / "pod.log").read_text()
        await asyncio.sleep(0.05)
    return value
