"""What an application does by itself, in words. Pure."""

from collections.abc import Mapping
from typing import Any


def policy_of(spec: Mapping[str, Any]) -> str:
    """The sync policy of a declaration: `syncs by itself, prunes, repairs drift`."""
    policy = spec.get("syncPolicy")
    automated = policy.get("automated") if isinstance(policy, dict) else None
    if not isinstance(automated, dict) or automated.get("enabled") is False:
        return "syncs when asked"
    words = ["syncs by itself"]
    words += ["prunes"] if automated.get("prune") else []
    words += ["repairs drift"] if automated.get("selfHeal") else []
    return ", ".join(words)
