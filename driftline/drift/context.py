"""What a comparison needs to know beside the two objects."""

from dataclasses import dataclass

from driftline.drift.fields import FieldSet
from driftline.drift.schema import Type
from driftline.model.application import IgnoreRule
from driftline.model.marks import MANAGER, Marks


@dataclass(frozen=True)
class Context:
    """The circumstances of one comparison."""

    type: Type | None
    """The kind's schema; without one only a dry run can tell."""
    marks: Marks
    namespace: str = ""
    """The destination's namespace, which stands in the tracking id of cluster-scoped objects."""
    owned_uid: str = ""
    """The uid we own, empty if we own none yet."""
    applied: FieldSet | None = None
    """What `dropped.remember` gave after our last apply; None if we never applied."""
    ignore: tuple[IgnoreRule, ...] = ()
    manager: str = MANAGER
    include_mutations: bool = False
    """Count what admission adds, too (`IncludeMutationWebhook=true`)."""
