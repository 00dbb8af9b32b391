"""The words of every alert, as Jinja2 templates of our own. Facts are only ever values in them, never template text.

Each condition has a title for its beginning, one for its end, and lines about it. Filters: `line` makes any value one
clean line, `block` a few (indented after the first), `indented` a few that are all indented, `clock` a time, `count` a
number with its noun.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from driftline.model.alert import Condition


@dataclass(frozen=True)
class Words:
    """Templates of one condition."""

    begins: str
    ends: str
    about: str = "{{ message | block }}"
    """Lines below the title while it holds; empty lines are dropped."""
    next_step: str = ""
    """What helps, for the reader who has to act. A template, too."""


_DRIFT = """\
{% for object in objects %}{% for field in object.fields %}\
{{ object.key | line }}: {{ field.path | line }} {{ field.desired | value }} -> {{ field.live | value }}, \
{% if field.by %}by {{ field.by | line }}{% if field.operation %} ({{ field.operation | line }}){% endif %}\
{% if field.at %} at {{ field.at | clock }}{% endif %}{% else %}author not recorded{% endif %}\
{% if object.clean_until %}, clean until {{ object.clean_until | clock }}{% endif %}
{% else %}\
{{ object.key | line }}: {{ object.state | line }}{% if object.reason %}, {{ object.reason | line }}{% endif %}\
{% if object.clean_until %}, clean until {{ object.clean_until | clock }}{% endif %}
{% endfor %}{% endfor %}\
{% if more %}and {{ more | count("more field") }}{% endif %}
{{ message | block }}
"""
_HITS = """\
{{ message | block }}
{% if applications %}Applications: {{ applications | names }}{% endif %}
"""
_PLANNED = """\
{{ message | block }}
{% if plan %}Plan:
{{ plan | indented }}{% endif %}
"""
# A deletion waits in no plan: it is confirmed, or it goes on waiting.
_ALLOW = """\
{% if deleting %}Look at what would be deleted, then confirm it: driftline app confirm-deletion {{ subject }}\
{% elif confirm %}Look at the plan, then confirm it with driftline app confirm-deletion {{ subject }}, \
or stop it with driftline app terminate-op {{ subject }}\
{% else %}Look at the plan, then allow it with driftline app approve {{ subject }}, \
or stop it with driftline app terminate-op {{ subject }}{% endif %}
"""

WORDS: Mapping[Condition, Words] = {
    Condition.SYNC_FAILED: Words(
        begins="{{ subject }}: sync failed{% if revision %} at {{ revision | short }}{% endif %}",
        ends="{{ subject }}: sync works again",
        about="{{ message | block }}\n{% for result in results %}{{ result | line }}\n{% endfor %}",
    ),
    Condition.SYNC_SUCCEEDED: Words(
        begins="{{ subject }}: synced{% if revision %} to {{ revision | short }}{% endif %}",
        ends="{{ subject }}: no longer at the revision of its last sync",
        about=_PLANNED,
    ),
    Condition.SYNC_RUNNING: Words(
        begins="{{ subject }}: sync started{% if revision %} to {{ revision | short }}{% endif %}",
        ends="{{ subject }}: sync ended",
        about=_PLANNED,
    ),
    Condition.SYNC_UNKNOWN: Words(
        begins="{{ subject }}: sync status unknown",
        ends="{{ subject }}: sync status known again",
    ),
    Condition.DEPLOYED: Words(
        begins="{{ subject }}: {{ revision | short or 'new revision' }} is deployed and healthy",
        ends="{{ subject }}: no longer deployed and healthy",
    ),
    Condition.CREATED: Words(begins="{{ subject }}: application created", ends="{{ subject }}: application gone"),
    Condition.DELETED: Words(begins="{{ subject }}: application deleted", ends="{{ subject }}: application is back"),
    Condition.HEALTH_DEGRADED: Words(
        begins="{{ subject }}: degraded",
        ends="{{ subject }}: no longer degraded",
        about="{{ message | block }}\n{% for result in results %}{{ result | line }}\n{% endfor %}",
    ),
    Condition.DRIFT_FOUND: Words(
        begins="{{ subject }}: the cluster drifted from Git{% if objects %} in "
        "{{ objects | length | count('object') }}{% endif %}",
        ends="{{ subject }}: the cluster is as Git says again",
        about=_DRIFT,
        next_step="{% if heals %}Self-heal undoes it; what should stay belongs into Git."
        "{% else %}Put the change into Git, or sync to undo it.{% endif %}",
    ),
    Condition.DRIFT_FIGHT: Words(
        begins="{{ subject }}: {{ manager | line or 'another manager' }} keeps undoing the repair",
        ends="{{ subject }}: nobody undoes the repair any more",
        about=_DRIFT,
        next_step="The field is left alone now: stop the other manager, or let it have the field by ignoreDifferences.",
    ),
    Condition.CLUSTER_UNREACHABLE: Words(
        begins="{{ subject }}: unreachable",
        ends="{{ subject }}: reachable again",
        about=_HITS,
        next_step="What its applications hold is unknown until it answers; nothing is deleted or changed meanwhile.",
    ),
    Condition.REPOSITORY_UNREACHABLE: Words(
        begins="{{ subject }}: unreachable",
        ends="{{ subject }}: reachable again",
        about=_HITS,
        next_step="Applications stay at the last commit that was fetched.",
    ),
    Condition.JOB_QUARANTINED: Words(
        begins="{{ subject }}: given up{% if attempts %} after {{ attempts | count('attempt') }}{% endif %}",
        ends="{{ subject }}: runs again",
        about="{% if job %}{{ job | line }}{% endif %}\n{{ message | block }}",
        next_step="Remove the cause, then retry the job.",
    ),
    Condition.PLAN_HELD: Words(
        begins="{{ subject }}: a plan waits for a person",
        ends="{{ subject }}: no plan waits any more",
        about=_PLANNED,
        next_step=_ALLOW,
    ),
}

GONE = "{{ subject }}: the application was deleted"
"""Title of the end of an alert whose application is no more: nothing works again."""

TEXT = """\
{{ title }}

{% for row in lines %}{{ row }}
{% endfor %}{% if ending %}{{ ending }}
{% endif %}{% if next_step %}{{ next_step }}
{% endif %}
{% for name, item in fields %}{{ name }}: {{ item }}
{% endfor %}{% if link %}{{ link }}
{% endif %}"""

HTML = """\
<!doctype html>
<html><body style="font-family:sans-serif;font-size:14px;color:#1a1d21">
<h2 style="font-size:18px;border-left:6px solid {{ colour }};padding-left:10px">{{ title }}</h2>
{% if lines %}<pre style="white-space:pre-wrap;background:#f4f5f7;padding:10px">\
{% for row in lines %}{{ row }}
{% endfor %}</pre>{% endif %}
{% if ending %}<p>{{ ending }}</p>{% endif %}
{% if next_step %}<p>{{ next_step }}</p>{% endif %}
<table style="border-collapse:collapse">
{% for name, item in fields %}<tr><th style="text-align:left;padding:2px 12px 2px 0">{{ name }}</th>\
<td>{{ item }}</td></tr>
{% endfor %}</table>
{% if link %}<p><a href="{{ link }}">Open in Driftline</a></p>{% endif %}
</body></html>
"""
