"""`can`, the only authorisation: its truth table, and properties that hold for all principals and things."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.auth import ADMIN, GLOBAL, OWNER, PLATFORM_ONLY, ROLES, Assignment, Principal, can, require
from shared.errors import Forbidden, Unauthenticated


class Thing(msgspec.Struct, frozen=True):
    """Something of a seller."""

    seller: str


OURS, THEIRS = Thing("slr_ours"), Thing("slr_theirs")
#: role → what it may do to a thing of the seller (or platform) it is held for.
TABLE = {
    "admin": "title:read title:write title:publish title:takedown seller:write account:assign flag:write anything:else",
    "moderator": "title:read title:takedown job:read account:read account:disable",
    "support": "title:read job:read account:read entitlement:read payment:read",
    "auditor": "title:read job:read account:read entitlement:read payment:read audit:read flag:read",
    "owner": "seller:read seller:write title:read title:write title:publish job:read entitlement:grant",
    "editor": "seller:read title:read title:write title:upload title:publish job:read job:cancel",
    "uploader": "seller:read title:read title:upload job:read",
}
SELLERS = ("owner", "editor", "uploader")
VERBS = sorted({verb for verbs in TABLE.values() for verb in verbs.split()})
NOT_IN_TABLE = {("owner", "job:cancel"), ("owner", "title:upload"), ("owner", "entitlement:read")}


def somebody(*held: Assignment, kind: str = "registered") -> Principal:
    return msgspec.convert({"id": "usr_1", "kind": kind, "sub": "sub_1", "assignments": held}, Principal)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("verb", VERBS)
def test_role_gives_what_the_table_says_and_nothing_more(role: str, verb: str) -> None:
    scope = f"partner:{OURS.seller}" if role in SELLERS else GLOBAL
    expected = verb in TABLE[role].split() or (role, verb) in NOT_IN_TABLE or role == ADMIN
    assert can(somebody(Assignment(role, scope)), verb, OURS) is expected


@pytest.mark.parametrize("role", SELLERS)
@pytest.mark.parametrize("verb", VERBS)
def test_role_of_one_seller_gives_nothing_for_another_or_the_platform(role: str, verb: str) -> None:
    principal = somebody(Assignment(role, f"partner:{OURS.seller}"))
    assert not can(principal, verb, THEIRS) and not can(principal, verb)


scopes = st.sampled_from([GLOBAL, "partner:slr_ours", "partner:slr_theirs", "territory:de", ""])
roles = st.sampled_from([*ROLES, "nobody", ""])
held = st.lists(st.builds(Assignment, roles, scopes), max_size=5)
things = st.sampled_from([None, OURS, THEIRS])
verbs = st.sampled_from([*VERBS, *PLATFORM_ONLY, "title", "title:", "*", ""])


@given(held, held, verbs, things)
def test_more_roles_never_allow_less(
    some: list[Assignment], more: list[Assignment], verb: str, thing: Thing | None
) -> None:
    if can(somebody(*some), verb, thing):
        assert can(somebody(*some, *more), verb, thing)


@given(held, verbs, things)
def test_roles_add_up_one_by_one(some: list[Assignment], verb: str, thing: Thing | None) -> None:
    assert can(somebody(*some), verb, thing) == any(can(somebody(each), verb, thing) for each in some)


@given(held, verbs, things)
def test_platform_verbs_are_never_given_by_a_seller(some: list[Assignment], verb: str, thing: Thing | None) -> None:
    sellers = [each for each in some if each.scope != GLOBAL]
    assert not any(can(somebody(*sellers), verb, thing) for verb in PLATFORM_ONLY)
    assert not can(None, verb, thing)


@given(held, verbs, things)
def test_require_agrees_with_can(some: list[Assignment], verb: str, thing: Thing | None) -> None:
    principal = somebody(*some)
    if can(principal, verb, thing):
        assert require(principal, verb, thing) is principal
    else:
        with pytest.raises(Forbidden) as refused:
            require(principal, verb, thing)
        assert f"({verb})" not in str(refused.value) and refused.value.details == {"permission": verb}


def test_require_asks_to_log_in_when_nobody_or_a_guest_acts() -> None:
    for who in (None, somebody(kind="guest")):
        with pytest.raises(Unauthenticated):
            require(who, "title:write", OURS)


def test_the_roles_that_must_not_run_out_exist() -> None:
    assert {ADMIN, OWNER} <= set(ROLES)
