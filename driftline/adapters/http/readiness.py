"""Whether the web process of this installation answers."""

import httpx

from driftline.adapters.settings import Settings, reached_at
from driftline.model.errors import Permanent


def ready_at(settings: Settings) -> str:
    """The URL at which it is ready: this machine's own address, or the one that people use, if it runs elsewhere.

    Raises Permanent with what the first of the two said.
    """
    problem = ""
    for url in dict.fromkeys((reached_at(settings.listen), settings.public_url)):
        try:
            answer = httpx.get(f"{url}/readyz", timeout=3, trust_env=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            problem = problem or f"{url}: does not answer ({error})"
            continue
        if answer.status_code == 200:
            return url
        problem = problem or f"{url}: is not ready ({answer.status_code})"
    raise Permanent(problem)
