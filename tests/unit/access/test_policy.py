"""Policy lines as Argo CD's users write them: allow, deny, roles, built-ins, and nothing without a rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.access.policy import ADMIN, BUILT_IN, READONLY, RESOURCES, Permission, Policy, Rule, allows, parse
from driftline.model.errors import Permanent

TEAM = """
# who ships the shop
p, role:shop, applications, sync, web/*, allow
p, role:shop, applications, get, web/*, allow
p, role:shop, applications, action/apps/Deployment/restart, web/shop, allow
p, role:shop, applications, sync, web/payments, deny
g, acme:shop-team, role:shop
g, ada, acme:shop-team
p, "bob", logs, get, "web/{shop,cart}", allow
"""


def may(policy: Policy, who: str, action: str, target: str, resource: str = "applications") -> bool:
    return allows(policy, [who], Permission(resource, action, target))


@pytest.mark.covers("RBAC-01")
def test_a_team_may_do_what_its_role_says_and_nothing_else() -> None:
    policy = parse(TEAM)
    assert may(policy, "acme:shop-team", "sync", "web/shop")
    assert may(policy, "ada", "sync", "web/shop")
    assert not may(policy, "ada", "sync", "infra/dns")
    assert not may(policy, "ada", "delete", "web/shop")
    assert not may(policy, "ada", "sync", "web/shop", resource="applicationsets")
    assert not may(policy, "carol", "get", "web/shop")
    assert may(policy, "bob", "get", "web/cart", resource="logs")
    assert not may(policy, "bob", "get", "web/other", resource="logs")


@pytest.mark.covers("RBAC-01")
def test_a_deny_wins_wherever_it_stands_and_whichever_of_ones_subjects_it_is_for() -> None:
    policy = parse(TEAM)
    assert may(policy, "ada", "get", "web/payments")
    assert not may(policy, "ada", "sync", "web/payments")
    mixed = parse("p, careful, applications, *, *, deny\np, bold, applications, *, *, allow")
    assert may(mixed, "bold", "sync", "a/b")
    assert not allows(mixed, ["bold", "careful"], Permission("applications", "sync", "a/b"))


@pytest.mark.covers("RBAC-04")
def test_a_right_on_an_application_is_no_right_on_single_objects() -> None:
    policy = parse("p, u, applications, update, p/a, allow\np, v, applications, update/*, p/a, allow")
    assert may(policy, "u", "update", "p/a")
    assert not may(policy, "u", "update/apps/Deployment/shop/web", "p/a")
    assert may(policy, "v", "update/apps/Deployment/shop/web", "p/a")
    assert not may(policy, "v", "update", "p/a")


@pytest.mark.covers("RBAC-05")
@pytest.mark.parametrize("resource", sorted(RESOURCES))
def test_the_built_in_roles(resource: str) -> None:
    assert may(Policy(), ADMIN, "delete", "x/y", resource)
    assert may(Policy(), READONLY, "get", "x/y", resource)
    assert not may(Policy(), READONLY, "update", "x/y", resource)
    assert not may(Policy(), READONLY, "create", "x/y", resource)


@pytest.mark.covers("RBAC-05")
def test_the_default_role_is_everybodys_and_cannot_be_denied() -> None:
    policy = parse("p, ada, applications, get, *, deny", default=READONLY)
    assert may(policy, "ada", "get", "web/shop")
    assert may(policy, "nobody-knows", "get", "web/shop")
    assert not may(policy, "nobody-knows", "sync", "web/shop")


def test_a_name_is_never_a_pattern() -> None:
    policy = parse("p, ada, applications, get, *, allow")
    assert not may(policy, "*", "get", "x/y")
    assert not may(policy, "a*", "get", "x/y")
    assert not may(policy, "", "get", "x/y")
    star = parse("p, *, applications, get, *, allow")
    assert not may(star, "ada", "get", "x/y")


def test_roles_that_name_each_other_end() -> None:
    policy = parse("g, a, b\ng, b, c\ng, c, a\np, c, applications, get, *, allow")
    assert may(policy, "a", "get", "x/y")
    assert policy.subjects_of(["b"]) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("p, ada, applications, get, *", "want 'p, subject"),
        ("p, ada, applications, get, *, maybe", "the effect is 'maybe'"),
        ("p, ada, applications, get, {a,b}, deny", "want 'p, subject"),
        ('p, ada, applications, get, "{a,b", deny', "brace is not closed"),
        ("p, , applications, get, *, allow", "want 'p, subject"),
        ("g, ada", "want 'g, subject, role'"),
        ("g, ada, ", "want 'g, subject, role'"),
        ("x, ada, b", "starts with 'x'"),
        ('p, "ada, applications, get, *, allow', "quotes do not match"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_and_nothing_counts(line: str, complaint: str) -> None:
    with pytest.raises(Permanent, match=r"policy line 3: .*") as error:
        parse(f"\np, a, b, c, d, allow\n{line}\n")
    assert complaint in str(error.value)


NAMES = st.sampled_from(["ada", "bob", "team", "role:x", "role:admin", "role:readonly"])
PERMISSIONS = st.builds(
    Permission,
    st.sampled_from(sorted(RESOURCES)),
    st.sampled_from(["get", "sync", "update/apps"]),
    st.sampled_from(["a/b", "c"]),
)
RULES = st.builds(
    Rule,
    NAMES,
    st.sampled_from(["*", "applications", "log?", "{clusters,projects}"]),
    st.sampled_from(["*", "get", "sync", "update/*"]),
    st.sampled_from(["*", "a/*", "c"]),
    st.booleans(),
)
POLICIES = st.builds(
    lambda rules, links, default: Policy(tuple(rules), {a: frozenset(b) for a, b in links.items()}, default),
    st.lists(RULES, max_size=6),
    st.dictionaries(NAMES, st.sets(NAMES, max_size=3), max_size=4),
    st.sampled_from(["", "role:readonly", "role:x"]),
)


@given(POLICIES, st.sets(NAMES, max_size=3), PERMISSIONS)
def test_what_is_allowed_has_a_rule_that_allows_it_and_none_that_denies_it(
    policy: Policy, who: set[str], wanted: Permission
) -> None:
    def touching(subjects: set[str]) -> list[Rule]:
        mine = policy.subjects_of(subjects)
        return [rule for rule in (*BUILT_IN, *policy.rules) if rule.subject in mine and rule.covers(wanted)]

    def decided(rules: list[Rule]) -> bool:
        return any(rule.allow for rule in rules) and all(rule.allow for rule in rules)

    by_default = bool(policy.default) and decided(touching({policy.default}))
    assert allows(policy, who, wanted) == (by_default or decided(touching(who)))


@given(POLICIES, st.sets(NAMES, max_size=3), PERMISSIONS, RULES)
def test_one_more_deny_never_allows_more(policy: Policy, who: set[str], wanted: Permission, rule: Rule) -> None:
    deny = Rule(rule.subject, rule.resource, rule.action, rule.object, allow=False)
    stricter = Policy((*policy.rules, deny), policy.roles, policy.default)
    assert allows(policy, who, wanted) or not allows(stricter, who, wanted)


@given(POLICIES, PERMISSIONS)
def test_strangers_have_only_the_default(policy: Policy, wanted: Permission) -> None:
    assert allows(policy, ["stranger"], wanted) == allows(policy, [], wanted)
