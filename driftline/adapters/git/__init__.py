"""Git: mirrors, fetches, the files of commits. The only package that runs git or imports GitPython."""

from driftline.adapters.git.fetching import Fetched, RefUpdate
from driftline.adapters.git.housekeeping import Report
from driftline.adapters.git.mirrors import Mirrors
from driftline.adapters.git.parse import CommitInfo
from driftline.adapters.git.remote import Reachable
from driftline.adapters.git.settings import GitSettings
from driftline.adapters.git.tree import GitTree

__all__ = ["CommitInfo", "Fetched", "GitSettings", "GitTree", "Mirrors", "Reachable", "RefUpdate", "Report"]
