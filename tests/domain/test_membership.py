"""Membership, without anything around it."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroinvoice.domain.membership import (
    INVITATION_LASTS,
    MOST_MEMBERS,
    InvitationRevoked,
    MemberInvited,
    MemberJoined,
    MemberRemoved,
    Membership,
    RoleAssigned,
    invitation_token,
    read_invitation_token,
)
from zeroinvoice.domain.roles import Role
from zeroinvoice.domain.workspace import Settings, Workspace, WorkspaceOpened
from zeroinvoice.kernel.facts import Event
from zeroinvoice.kernel.refusals import Forbidden, Invalid, Missing, Refusal, Refused
from zeroinvoice.kernel.secrets import Keyring

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
KEYRING = Keyring(b"k" * 32)
OWNER, ADMIN, MEMBER, GUEST = (UUID(int=n) for n in range(1, 5))
opened = WorkspaceOpened(OWNER, Settings("Test"))
admin = MemberJoined(ADMIN, "admin")
member = MemberJoined(MEMBER, "member")
guest = MemberInvited(GUEST, "guest@example.com", "member")


def told(*events: Event) -> Workspace:
    workspace = Workspace()
    for event in events:
        workspace = workspace.told(event, NOW)
    return workspace


def code(refused: Any) -> str:
    found: str = refused.value.code
    return found


def test_who_opened_a_workspace_owns_it() -> None:
    """Journals from before there were members are read the same."""
    workspace = told(opened)
    assert workspace.role_of(OWNER) == "owner"
    assert workspace.role_of(MEMBER) is None


def test_an_invitation_lets_in_once_and_with_the_newest_letter_alone() -> None:
    """Row portal: single use, 72 hours, and a newer one voids the older."""
    membership = told(opened, guest, guest).membership
    assert list(membership.join(GUEST, 3, NOW)) == [MemberJoined(GUEST, "member")]
    late = NOW + INVITATION_LASTS + timedelta(seconds=1)
    for version, at in ((2, NOW), (4, NOW), (3, late)):
        with pytest.raises(Invalid) as refused:
            list(membership.join(GUEST, version, at))
        assert code(refused) == "invitation_invalid"
    accepted = told(opened, guest, MemberJoined(GUEST, "member"))
    assert accepted.role_of(GUEST) == "member"
    with pytest.raises(Invalid):
        list(accepted.membership.join(GUEST, 2, NOW))


def test_an_invitation_that_was_taken_back_lets_nobody_in() -> None:
    membership = told(opened, guest).membership
    assert list(membership.remove(OWNER, GUEST)) == [InvitationRevoked(GUEST)]
    with pytest.raises(Invalid):
        list(told(opened, guest, InvitationRevoked(GUEST)).membership.join(GUEST, 2, NOW))


def test_an_address_is_invited_once_however_it_is_typed() -> None:
    membership = told(opened, guest).membership
    assert membership.invited(" Guest@Example.COM ") == GUEST
    assert membership.invited("other@example.com") is None


@pytest.mark.parametrize("role", get_args(Role))
def test_an_admin_invites_up_to_admin(role: Role) -> None:
    membership = told(opened, admin).membership
    if role != "owner":
        assert list(membership.invite(ADMIN, GUEST, "g@example.com", role))
        return
    assert list(membership.invite(OWNER, GUEST, "g@example.com", role))
    with pytest.raises(Forbidden) as refused:
        list(membership.invite(ADMIN, GUEST, "g@example.com", role))
    assert code(refused) == "owners_only"


def test_only_an_owner_makes_and_unmakes_owners() -> None:
    second = MemberJoined(MEMBER, "owner")
    invited = MemberInvited(GUEST, "g@example.com", "owner")
    membership = told(opened, admin, second, invited).membership
    for attempt in (
        lambda: membership.assign(ADMIN, MEMBER, "admin"),
        lambda: membership.assign(ADMIN, GUEST, "admin"),
        lambda: membership.remove(ADMIN, MEMBER),
        lambda: membership.remove(ADMIN, GUEST),
        lambda: membership.invite(ADMIN, GUEST, "g@example.com", "member"),
        lambda: told(opened, admin, member).membership.assign(ADMIN, MEMBER, "owner"),
    ):
        with pytest.raises(Forbidden) as refused:
            list(attempt())
        assert code(refused) == "owners_only"
    assert list(membership.assign(OWNER, MEMBER, "admin")) == [RoleAssigned(MEMBER, "admin")]
    assert list(membership.remove(OWNER, MEMBER)) == [MemberRemoved(MEMBER)]


def test_nobody_changes_their_own_role() -> None:
    membership = told(opened, admin, MemberJoined(MEMBER, "owner")).membership
    for who in (OWNER, ADMIN):
        with pytest.raises(Forbidden) as refused:
            list(membership.assign(who, who, "member"))
        assert code(refused) == "own_role"


def test_the_last_owner_stays() -> None:
    with pytest.raises(Refused) as refused:
        list(told(opened, admin).membership.remove(OWNER, OWNER))
    assert code(refused) == "last_owner"
    two = told(opened, MemberJoined(MEMBER, "owner")).membership
    assert list(two.remove(OWNER, OWNER)) == [MemberRemoved(OWNER)]


def test_the_same_role_again_is_no_event_and_a_stranger_has_none() -> None:
    membership = told(opened, member).membership
    assert list(membership.assign(OWNER, MEMBER, "member")) == []
    for attempt in (
        lambda: membership.assign(OWNER, GUEST, "admin"),
        lambda: membership.remove(OWNER, GUEST),
    ):
        with pytest.raises(Missing):
            list(attempt())


def test_a_role_may_change_while_the_invitation_is_open() -> None:
    workspace = told(opened, guest, RoleAssigned(GUEST, "auditor"))
    assert list(workspace.membership.join(GUEST, 2, NOW)) == [MemberJoined(GUEST, "auditor")]


def test_a_workspace_has_at_most_two_hundred_members_and_invitations() -> None:
    many = [MemberJoined(uuid4(), "member") for _ in range(MOST_MEMBERS - 2)]
    membership = told(opened, *many, guest).membership
    with pytest.raises(Invalid) as refused:
        list(membership.invite(OWNER, uuid4(), "one@more.example", "member"))
    assert code(refused) == "too_many_members"
    assert list(membership.invite(OWNER, GUEST, "guest@example.com", "member")) == [guest]


ids = st.sampled_from([OWNER, ADMIN, MEMBER, GUEST])
roles = st.sampled_from(get_args(Role))
acts = st.one_of(
    st.tuples(st.just("invite"), ids, ids, roles),
    st.tuples(st.just("assign"), ids, ids, roles),
    st.tuples(st.just("remove"), ids, ids, roles),
    st.tuples(st.just("join"), ids, ids, roles),
)


def carried_out(it: Membership, verb: str, by: UUID, id: UUID, role: Role) -> list[Event]:
    """What an attempt records; nothing when it is refused, or could not be made."""
    known = it.invitations.get(id)
    outsider = verb != "join" and by not in it.members  # whom no request of this workspace is by
    if outsider or (verb == "invite" and id in it.members):
        return []
    with suppress(Refusal):
        match verb:
            case "invite":
                return list(it.invite(by, id, f"{id.int}@example.com", role))
            case "assign":
                return list(it.assign(by, id, role))
            case "remove":
                return list(it.remove(by, id))
            case _:
                return list(it.join(id, known.version if known else 0, NOW))
    return []


def owners(it: Membership) -> set[UUID]:
    """Who is an owner, or is to be one."""
    everybody = [*it.members.items(), *it.invitations.items()]
    return {id for id, known in everybody if known.role == "owner"}


@given(st.lists(acts, max_size=40))
def test_whatever_is_asked_an_owner_stays_and_only_owners_make_owners(
    asked: list[tuple[str, UUID, UUID, Role]],
) -> None:
    workspace = told(opened, admin)
    for verb, by, id, role in asked:
        before = workspace.membership
        for event in carried_out(before, verb, by, id, role):
            workspace = workspace.told(event, NOW)
        after = workspace.membership
        assert any(it.role == "owner" for it in after.members.values())
        assert not after.members.keys() & after.invitations.keys()
        if owners(after) != owners(before):
            assert before.members[by].role == "owner"
        if verb == "assign":
            assert after.members.get(by) == before.members.get(by)


@given(st.text(max_size=200))
def test_no_text_passes_for_an_invitation(text: str) -> None:
    with pytest.raises(Invalid):
        read_invitation_token(KEYRING, text)


@given(st.uuids(), st.uuids(), st.integers(1, 10**9))
def test_a_token_names_its_workspace_member_and_letter(tenant: Any, id: Any, version: int) -> None:
    token = invitation_token(KEYRING, tenant, id, version)
    assert read_invitation_token(KEYRING, token) == (tenant, id, version)
    with pytest.raises(Invalid):
        read_invitation_token(Keyring(b"x" * 32), token)
