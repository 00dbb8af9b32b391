"""A cluster that KUBECONFIG names: used by the demo only after showing which one it is and asking."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.demo.stage import Stage

NAMESPACES = ("guestbook", "podinfo")
MARK = "app.kubernetes.io/part-of=driftline-demo"
"""The label of the namespaces that the demo makes there, and removes at its end."""


class NotAllowed(RuntimeError):
    """The cluster may not be used; the text says why."""


@dataclass(frozen=True)
class Borrowed:
    """Somebody's cluster: a copy of the way in that names only this one."""

    kubeconfig: Path

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl there. Raises NotAllowed with its complaint."""
        return _kubectl({**os.environ, "KUBECONFIG": str(self.kubeconfig)}, *arguments)

    def prepare(self) -> None:
        """Make the demo's namespaces. Raises NotAllowed if one exists that the demo did not make."""
        self.clear()
        found = set(self.kubectl("get", "namespaces", "-o", "jsonpath={.items[*].metadata.name}").split())
        if taken := sorted(found & set(NAMESPACES)):
            raise NotAllowed(f"namespace {taken[0]}: exists in that cluster and is not the demo's; nothing was changed")
        for name in NAMESPACES:
            self.kubectl("create", "namespace", name)
            self.kubectl("label", "namespace", name, MARK)

    def clear(self) -> None:
        """Remove the namespaces that a demo has made, with everything in them."""
        self.kubectl("delete", "namespaces", "--selector", MARK, "--ignore-not-found", "--timeout=60s")


def borrow(stage: Stage, copy: Path, yes: bool) -> Borrowed | None:
    """The cluster of KUBECONFIG, if its owner agrees; None for a control plane of our own. Raises NotAllowed."""
    if not os.environ.get("KUBECONFIG"):
        return None
    text = _kubectl(os.environ, "config", "view", "--raw", "--flatten", "--minify", "-o", "json")
    config: dict[str, Any] = json.loads(text)
    server = config["clusters"][0]["cluster"]["server"]
    stage.act("KUBECONFIG names a cluster")
    stage.say(f"context   {config['current-context']}")
    stage.say(f"server    {server}")
    stage.say(f"The demo would make the namespaces {' and '.join(NAMESPACES)} there and remove them at its end.")
    if not yes and not _agreed(stage):
        stage.say("Not used: a local control plane is started instead.")
        return None
    copy.touch(mode=0o600)
    copy.write_text(text)
    return Borrowed(copy)


def _agreed(stage: Stage) -> bool:
    if not sys.stdin.isatty():
        raise NotAllowed(
            "KUBECONFIG is set and nobody is there to ask: YES=1 uses that cluster, KUBECONFIG= a local one"
        )
    return stage.console.input("      Use it? [y/N] ").strip().lower() in ("y", "yes")


def _kubectl(environment: Any, *arguments: str) -> str:
    kubectl = Path(sys.executable).parent / "kubectl"
    done = subprocess.run([str(kubectl), *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotAllowed(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
