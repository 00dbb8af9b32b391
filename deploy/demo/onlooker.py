"""Looks at a Deployment through `kubectl get --watch`, from outside of Driftline, and notes when it changes."""

import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_SHOWN = (
    "{.spec.template.spec.containers[0].image} {.spec.replicas} {.metadata.generation} {.status.observedGeneration} "
    "{.status.updatedReplicas} {.status.availableReplicas} {.status.replicas}"
)


@dataclass(frozen=True)
class Look:
    """A Deployment at one moment (`at`, seconds since the epoch)."""

    at: float
    image: str
    replicas: int
    rolled_out: bool


class Onlooker:
    """Sees every change of one Deployment while it is used as a context."""

    def __init__(self, kubectl: Sequence[str], namespace: str, name: str) -> None:
        self.looks: list[Look] = []
        line = ["get", "deployment", name, "--namespace", namespace, "--watch", "-o"]
        self._command = [*kubectl, *line, f"jsonpath={_template(_SHOWN)}"]

    def __enter__(self) -> "Onlooker":
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self._read, daemon=True).start()
        self.wait(lambda look: True, 15, "kubectl sees the Deployment")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)

    def wait(self, wanted: Callable[[Look], bool], patience: float, what: str) -> Look:
        """The first look that is as wanted. Raises TimeoutError."""
        deadline = time.monotonic() + patience
        while True:
            for look in list(self.looks):
                if wanted(look):
                    return look
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {patience:g} s until {what}; the last look was {self.looks[-1:]}")
            time.sleep(0.01)

    def forget(self) -> None:
        """Only what comes from now on counts."""
        self.looks = []

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            image, *counts = line.rstrip("\n").split(";")
            replicas, generation, observed, updated, available, total = (int(each or 0) for each in counts)
            done = observed >= generation and updated == available == total == replicas
            self.looks.append(Look(time.time(), image, replicas, done))


def _template(shown: str) -> str:
    """The template with a separator that survives empty fields, and one line for each event."""
    return shown.replace(" ", ";") + '{"\\n"}'
