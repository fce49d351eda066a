"""The policy: every decision of every door."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinmesh.kernel.errors import NotAllowed, NotSignedIn
from thinmesh.kernel.policy import Action, Policy, Principal, ProductFacts

TEAMS = ("air", "sea", "land")
PRODUCTS = ("flights", "ships")
SCOPES = ("read", "write", "admin", "publish:flights", "publish:ships", "publish:", "", "all", "Write", "write ")

principals = st.builds(
    Principal,
    user=st.sampled_from(("ann", "bob")),
    admin=st.booleans(),
    teams=st.frozensets(st.sampled_from(TEAMS)),
    scope=st.sampled_from(SCOPES),
)
products = st.builds(
    ProductFacts,
    name=st.sampled_from(PRODUCTS),
    domain=st.just("transport"),
    owner=st.sampled_from(TEAMS),
    access=st.sampled_from(("open", "request", "", "OPEN", "private")),
    status=st.sampled_from(("active", "retired")),
)
actions = st.sampled_from(list(Action))
situations = st.fixed_dictionaries(
    {
        "product": st.none() | products,
        "team": st.none() | st.sampled_from(TEAMS),
        "leads": st.frozensets(st.sampled_from(("ann", "bob", "eve"))),
        "domain_teams": st.none() | st.frozensets(st.sampled_from(TEAMS)),
    }
)


class Granted:
    """Who was granted what: (user or team, product)."""

    def __init__(self, *pairs):
        self.pairs = set(pairs)

    def granted(self, user, teams, product):
        return any((who, product) in self.pairs for who in (user, *teams))

    def granted_products(self, user, teams):
        return {product for who, product in self.pairs if who in (user, *teams)}


grants = st.builds(
    lambda pairs: Granted(*pairs),
    st.frozensets(st.tuples(st.sampled_from(("ann", "bob", *TEAMS)), st.sampled_from(PRODUCTS))),
)


def may(policy, caller, action, situation):
    try:
        policy.require(caller, action, **situation)
    except NotAllowed:
        return False
    return True


@given(actions, situations, grants)
def test_nobody_may_do_anything_without_signing_in(action, situation, granted):
    with pytest.raises(NotSignedIn):
        Policy(granted).require(None, action, **situation)


@given(principals, products, grants)
def test_closed_data_is_read_by_owners_and_the_granted_alone(caller, product, granted):
    policy = Policy(granted)
    allowed = may(policy, caller, Action.READ_DATA, {"product": product})
    assert policy.allows(caller, Action.READ_DATA, product) == allowed
    entitled = product.owner in caller.teams or granted.granted(caller.user, caller.teams, product.name)
    assert allowed == ((product.access == "open" or entitled) and caller.scope in ("read", "write", "admin"))


@given(principals, st.lists(products, max_size=4), grants)
def test_many_products_are_judged_as_each_is(caller, found, granted):
    policy = Policy(granted)
    alone = [product.name for product in found if policy.allows(caller, Action.READ_DATA, product)]
    assert policy.readable(caller, found) == alone


@given(principals, products)
def test_being_an_administrator_opens_no_closed_data(caller, product):
    policy = Policy(Granted())
    plain = may(policy, replace(caller, admin=False, scope="write"), Action.READ_DATA, {"product": product})
    assert may(policy, replace(caller, admin=True, scope="admin"), Action.READ_DATA, {"product": product}) == plain


@given(principals, actions, situations, grants)
def test_a_scope_never_gives_more_than_a_wider_one(caller, action, situation, granted):
    policy = Policy(granted)
    narrow = may(policy, caller, action, situation)
    if narrow and caller.scope != "admin":
        assert may(policy, replace(caller, scope="write"), action, situation)
    if narrow:
        assert may(policy, replace(caller, scope="admin"), action, situation)


@given(principals, actions, situations, grants)
def test_an_admin_scope_in_the_hands_of_others_is_a_write_scope(caller, action, situation, granted):
    policy = Policy(granted)
    person = replace(caller, admin=False)
    assert may(policy, replace(person, scope="admin"), action, situation) == may(
        policy, replace(person, scope="write"), action, situation
    )
    administrator = replace(caller, admin=True, scope="write")
    assert may(policy, administrator, action, situation) == may(
        policy, replace(administrator, admin=False), action, situation
    )


@given(principals, actions, situations, grants, st.sampled_from(TEAMS))
def test_a_further_team_or_grant_takes_nothing_away(caller, action, situation, granted, team):
    if may(Policy(granted), caller, action, situation):
        assert may(Policy(granted), replace(caller, teams=caller.teams | {team}), action, situation)
        more = Granted(*granted.pairs, *((caller.user, product) for product in PRODUCTS))
        assert may(Policy(more), caller, action, situation)


@given(principals, actions, situations)
def test_a_scope_we_do_not_know_opens_nothing(caller, action, situation):
    for scope in ("", "all", "Write", "write ", "publish", "admin:x"):
        assert not may(Policy(Granted()), replace(caller, admin=True, scope=scope), action, situation)


@given(principals, actions, situations)
def test_a_read_token_changes_nothing(caller, action, situation):
    if may(Policy(Granted()), replace(caller, scope="read"), action, situation):
        assert action in (Action.READ_METADATA, Action.READ_DATA, Action.SEE_READERS, Action.FETCH)


@given(principals, actions, situations)
def test_a_publish_token_publishes_to_its_product_and_reads_no_data(caller, action, situation):
    if may(Policy(Granted()), replace(caller, scope="publish:flights"), action, situation):
        product = situation["product"]
        harmless = action in (Action.READ_METADATA, Action.PUSH)
        assert harmless or (action is Action.PUBLISH and product.name == "flights")


@given(
    principals, situations, st.sampled_from((Action.CHANGE, Action.PUBLISH, Action.DECIDE_ACCESS, Action.SEE_READERS))
)
def test_a_product_is_changed_by_its_owners_and_administrators(caller, situation, action):
    if may(Policy(Granted()), caller, action, situation):
        product = situation["product"]
        assert (caller.admin and caller.scope == "admin") or product.owner in caller.teams


@given(principals, situations)
def test_a_product_is_registered_for_a_team_of_ones_own_in_its_domain(caller, situation):
    if may(Policy(Granted()), replace(caller, admin=False), Action.REGISTER, situation):
        there = situation["domain_teams"]
        assert situation["team"] in caller.teams
        assert there is not None
        assert not there or situation["team"] in there


@given(principals, situations)
def test_into_a_domain_that_others_work_in_they_let_in(caller, situation):
    if may(Policy(Granted()), replace(caller, admin=False), Action.JOIN_DOMAIN, situation):
        there = situation["domain_teams"]
        assert caller.teams & there if there else situation["team"] in caller.teams


@given(principals, situations, st.sampled_from((Action.MANAGE_USERS, Action.ADMINISTER)))
def test_the_platform_is_managed_by_administrators(caller, situation, action):
    assert may(Policy(Granted()), caller, action, situation) == (caller.admin and caller.scope == "admin")


@given(principals, situations)
def test_a_team_is_managed_by_its_leads_and_administrators(caller, situation):
    leads = caller.scope in ("write", "admin") and caller.user in situation["leads"]
    assert may(Policy(Granted()), caller, Action.MANAGE_TEAM, situation) == (leads or caller.administers)


@given(principals, actions, situations)
def test_every_refusal_says_why_and_what_to_do(caller, action, situation):
    policy = Policy(Granted())
    if not may(policy, caller, action, situation):
        with pytest.raises(NotAllowed) as raised:
            policy.require(caller, action, **situation)
        assert raised.value.detail.endswith((".", "…"))
        assert raised.value.help


def test_a_refusal_of_closed_data_names_the_way_in():
    closed = ProductFacts("flights", "transport", "air", "request")
    with pytest.raises(NotAllowed) as raised:
        Policy(Granted()).require(Principal("eve"), Action.READ_DATA, product=closed)
    assert "grant from the team air" in raised.value.detail
    assert "thinmesh request flights" in raised.value.help
