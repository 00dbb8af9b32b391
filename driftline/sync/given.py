"""What a plan is made from: values that flow has read from Git, the inventory and the cluster."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from driftline.model.drift import FieldDrift, Verdict
from driftline.model.objects import Key, Object


@dataclass(frozen=True)
class Wanted:
    """One object that Git says should be, marks and all, and the digest of it."""

    body: Object = field(repr=False)
    digest: str


@dataclass(frozen=True)
class Owned:
    """One inventory row: an object that this application made or took over, or is about to."""

    uid: str = ""
    """Empty between the widening of the inventory and the recorded answer to the first write."""
    desired_digest: str = ""
    """Digest of the desired object as last applied; empty before the first write."""
    wave: int = 0
    options: tuple[str, ...] = ()
    """`Key=value` options that the object carried when it was last applied (`options.seen`)."""


@dataclass(frozen=True)
class LiveSeen:
    """One live object as a GET or LIST of its own found it."""

    uid: str
    resource_version: str = ""
    marked: bool = False
    """Carries our installation's label and this application's tracking id (`marks.marked`)."""
    ours: bool = False
    """Carries our installation's label, whichever application tracks it."""
    tracked_by: str = ""
    """The application whose tracking id names this very object, ours or Argo CD's; empty for none."""
    deleting: bool = False
    annotations: Mapping[str, str] = field(default_factory=dict)
    controlled: str = ""
    """The controller among its owner references, `apps/ReplicaSet/web-5f`; empty for none."""
    holds: int | None = None
    """Namespace, CRD: how many objects of others die with it. None: nobody counted."""
    will_go: tuple[FieldDrift, ...] = ()
    """Fields that adoption would remove."""
    notes: tuple[str, ...] = ()
    """What a person should know before it is adopted (Argo CD wrote to it within the hour)."""


@dataclass(frozen=True)
class PlanOptions:
    """What a sync may do. The defaults are those of a sync that a person starts without options."""

    application: str = ""
    prune: bool = False
    """Whether deletions were asked for, by the person or by `automated.prune`."""
    deleting: bool = False
    """The application itself is being deleted: a sync to nothing that a person asked for."""
    automated: bool = False
    allow_empty: bool = False
    previous: int = 0
    """How many objects the last successful render held, where the inventory may know fewer."""
    budget_count: int = 20
    budget_percent: int = 30
    """Deletions wait for a person above the larger of the count and this percentage of the inventory."""
    sync_options: tuple[str, ...] = ()
    """`spec.syncPolicy.syncOptions` or what the operation gave instead, `Key=value`."""
    only: frozenset[Key] | None = None
    """A selective sync: nothing else is touched, no hook runs."""
    approved: frozenset[Key] = frozenset()
    """Keys whose held change a person has allowed."""
    confirmed: bool = False
    """A person has confirmed the deletions that ask for it, by the annotation on the Application."""
    adopt: bool = True
    """Whether objects that exist and carry no mark of ours may be taken over."""
    force: bool = False
    """The operation's own force flag: as the option Force=true on every object."""
    skip_hooks: bool = False
    hooks_ran: bool = False
    """The operation has run its hooks already; only those that tidy up after a failure are left."""
    destination_namespace: str = ""
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    namespace_annotations: Mapping[str, str] = field(default_factory=dict)
    revision: str = ""
    started_at: datetime | None = None
    """With `revision`: names hooks that have generateName. Aware UTC."""


@dataclass(frozen=True)
class PlanInput:
    """Everything a plan depends on. Values only: a read that failed never becomes an empty mapping here."""

    wanted: Mapping[Key, Wanted]
    verdicts: Mapping[Key, Verdict] = field(default_factory=dict)
    """Only of keys that need something, or whose comparison went wrong."""
    owned: Mapping[Key, Owned] = field(default_factory=dict)
    live: Mapping[Key, LiveSeen | None] = field(default_factory=dict)
    """What was read by name or in a LIST of its own: absent = not read, None = a GET answered 404.

    Needed for every inventory key that Git no longer names, for wanted keys without inventory row, and for rows
    without uid.
    """
    others: Mapping[Key, str] = field(default_factory=dict)
    """Keys that another application of ours claims, and its name."""
    client_side: Mapping[Key, str] = field(default_factory=dict)
    """Objects that cannot be applied server-side, and why: the plan says so."""
    hooks: tuple[Wanted, ...] = ()
    options: PlanOptions = PlanOptions()
