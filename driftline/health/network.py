"""Health of what brings traffic in: Service and Ingress."""

from driftline.health.shape import Fields, fields, healthy, items, progressing
from driftline.model.health import Health


def service(live: Fields) -> Health:
    """A Service of type LoadBalancer waits for its address; every other is well as soon as it exists."""
    if fields(live, "spec").get("type") != "LoadBalancer":
        return healthy()
    return _address(live)


def ingress(live: Fields) -> Health:
    """An Ingress waits for its controller to publish an address."""
    return _address(live)


def _address(live: Fields) -> Health:
    # kstatus is content with a clusterIP here; Argo CD's stricter rule is kept: without an address nobody gets in.
    if items(fields(live, "status", "loadBalancer").get("ingress")):
        return healthy()
    return progressing("Waiting for a load balancer address")
