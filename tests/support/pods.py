"""A pod of a built overlay, run on this machine: its command, its very environment, its probes and its hooks."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from infra.stack.child import own_session
from infra.stack.plan import ROOT
from tests.support.ports import free_base

START_WITHIN_S = 60.0
OVERLAYS = ("small", "production")
Resource = dict[str, Any]


#: What each overlay holds.
PARTS = {"small": ("edge", "farm-cpu"), "production": ("edge", "farm-cpu", "farm-gpu")}
#: The name of the pod, where its container asks for it.
POD = "pod-1"


def built(tools: Path, overlay: str, part: str) -> list[Resource]:
    """What `kubectl kustomize` makes of one part of an overlay; a ConfigMap's name ends in a hash."""
    named = re.compile(re.escape(part) + r"(-[a-z0-9]{10})?")
    return [each for each in whole(tools, overlay) if named.fullmatch(each["metadata"]["name"])]


def whole(tools: Path, overlay: str) -> list[Resource]:
    """What `kubectl kustomize` makes of an overlay."""
    command = [str(tools / "kubectl"), "kustomize", str(ROOT / "k8s" / "overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def size(text: str) -> int:
    """Bytes of `64Mi` or `2Gi`."""
    number, unit = re.fullmatch(r"(\d+)([MG]i)", text).groups()  # type: ignore[union-attr]
    return int(number) << {"Mi": 20, "Gi": 30}[unit]


def one(resources: list[Resource], kind: str) -> Resource:
    """The only resource of a kind."""
    (found,) = [resource for resource in resources if resource["kind"] == kind]
    return found


def template(resources: list[Resource]) -> Resource:
    """The pod of the Deployment."""
    found: Resource = one(resources, "Deployment")["spec"]["template"]["spec"]
    return found


def environment(resources: list[Resource], secrets: Mapping[str, str]) -> dict[str, str]:
    """What the container sees: whole ConfigMaps, then single values; `secrets` by their keys."""
    (container,) = template(resources)["containers"]
    maps = {r["metadata"]["name"]: r["data"] for r in resources if r["kind"] == "ConfigMap"}
    found: dict[str, str] = {}
    for source in container["envFrom"]:
        found |= maps[source["configMapRef"]["name"]]
    for entry in container["env"]:
        given = entry.get("valueFrom", {})
        if "fieldRef" in given:
            assert given["fieldRef"] == {"fieldPath": "metadata.name"}
            found[entry["name"]] = POD
        else:
            found[entry["name"]] = entry["value"] if "value" in entry else secrets[given["secretKeyRef"]["key"]]
    return found


def peers(policy: Resource) -> set[str]:
    """The pods that a NetworkPolicy lets ours ask, by the one label each is chosen by."""
    named: set[str] = set()
    for rule in policy["egress"]:
        for peer in rule["to"]:
            chosen = peer.get("podSelector", {})
            # One label more, and no such pod would be found.
            assert len(chosen.get("matchLabels", {})) + len(chosen.get("matchExpressions", [])) <= 1, chosen
            named |= set(chosen.get("matchLabels", {}).values())
            named |= {value for each in chosen.get("matchExpressions", []) for value in each["values"]}
    return named


class Pod:
    """One container, its volumes folders of `folder`; `replaced` are the values that name other machines."""

    def __init__(
        self, resources: list[Resource], folder: Path, *, secrets: Mapping[str, str], replaced: Mapping[str, str]
    ) -> None:
        self.spec = template(resources)
        (self.container,) = self.spec["containers"]
        self.folder, self.process = folder, subprocess.Popen(["true"])
        self.process.wait()
        self._base = free_base()
        self.ports = {port["name"]: self._base + n for n, port in enumerate(self.container["ports"])}
        moved = {str(port["containerPort"]): str(self.ports[port["name"]]) for port in self.container["ports"]}
        environ = {name: self._here(value, moved) for name, value in environment(resources, secrets).items()}
        assert replaced.keys() <= environ.keys() | {"USHER_S3_ENDPOINT"}
        # Of the image there is the interpreter, and where the sources lie.
        self.environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ, **replaced}
        self.tls: ssl.SSLContext | None = None
        for mount in self.container["volumeMounts"]:
            self.mounted(mount["mountPath"]).mkdir(parents=True, exist_ok=True)

    def mounted(self, path: str) -> Path:
        """Where a path in the pod lies on this machine."""
        return self.folder / path.lstrip("/")

    def _here(self, value: str, ports: Mapping[str, str]) -> str:
        mounts = [mount["mountPath"] for mount in self.container["volumeMounts"]]
        if any(value == mount or value.startswith(f"{mount}/") for mount in mounts):
            return str(self.mounted(value))
        return "127.0.0.1" if value == "0.0.0.0" else ports.get(value, value)  # noqa: S104 - what is replaced

    def start(self) -> None:
        """Start the container's command; back when the startup and the readiness probe pass."""
        with (self.folder / "pod.log").open("ab") as log:
            self.process = subprocess.Popen(
                self._argv(self.container["command"]),
                env=self.environ,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=own_session(os.getpid(), signal.SIGKILL),
            )
        self.until(lambda: self.probe("startupProbe") == 200)
        self.until(lambda: self.probe("readinessProbe") == 200)

    def until(self, condition: Callable[[], bool], *, within_s: float = START_WITHIN_S) -> None:
        """Wait, while the process runs."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert self.process.poll() is None, (self.folder / "pod.log").read_text()
            assert time.monotonic() < deadline, (self.folder / "pod.log").read_text()
            time.sleep(0.02)

    def probe(self, name: str) -> int:
        """What a probe of the manifest meets; 0 where nobody answers."""
        asked = self.container[name]["httpGet"]
        return self.get(asked["path"], port=asked["port"])[0]

    def get(self, path: str, *, port: str = "http") -> tuple[int, bytes]:
        """One request to a named port."""
        with contextlib.closing(self.link(port)) as link, contextlib.suppress(OSError):
            link.request("GET", path)
            with link.getresponse() as answer:
                return answer.status, answer.read()
        return 0, b""

    def link(self, port: str = "http") -> http.client.HTTPConnection:
        """A connection that is kept, over TLS where the pod speaks it."""
        if self.tls is not None and port == "http":
            return http.client.HTTPSConnection("127.0.0.1", self.ports[port], timeout=60, context=self.tls)
        return http.client.HTTPConnection("127.0.0.1", self.ports[port], timeout=60)

    def pre_stop(self) -> subprocess.Popen[bytes]:
        """The hook, begun."""
        argv = self._argv(self.container["lifecycle"]["preStop"]["exec"]["command"])
        return subprocess.Popen(argv, env=self.environ, cwd=self.folder)

    def stop(self) -> int:
        """SIGTERM; the exit status, which must come within what a preStop hook leaves of the grace period."""
        self.process.send_signal(signal.SIGTERM)
        hook_s = int(self.environ.get("USHER_DRAIN_S", "0"))
        return self.process.wait(self.spec["terminationGracePeriodSeconds"] - hook_s)

    def kill(self) -> None:
        """End the whole session at once; no error when it has ended."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @staticmethod
    def _argv(command: list[str]) -> list[str]:
        return [sys.executable if word == "python" else word for word in command]
