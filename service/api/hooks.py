"""The webhook routes' two doors into the product: where secrets are, and who keeps a delivery."""

from collections.abc import Sequence
from dataclasses import dataclass

from driftline.adapters.store import repositories
from driftline.flow import access
from driftline.flow import receive as receiving
from driftline.flow.edges import Edges
from driftline.model.push import Push
from service.providers.host import Secret
from service.webhooks import Receipt, secrets_in


@dataclass(frozen=True)
class StoredSecrets:
    """Secrets of /api/webhook from the settings, of each hook from its repository's row."""

    edges: Edges

    def for_header(self, provider: str) -> Sequence[Secret]:
        return secrets_in(self.edges.settings, provider)

    def for_hook(self, provider: str, hook_id: str) -> Secret | None:
        with self.edges.store.read() as db:
            row = repositories.by_hook(db, hook_id)
        secret = access.hook_secret(self.edges, row) if row else ""
        return Secret(secret) if secret else None


@dataclass(frozen=True)
class Receiver:
    """Keeps a delivery, and wakes a worker."""

    edges: Edges

    def __call__(self, push: Push, hook_id: str) -> Receipt:
        kept = receiving.receive(self.edges, push, hook_id)
        return Receipt(kept.new, len(kept.job_ids), str(kept.outcome))
