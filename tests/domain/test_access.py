"""Users, mailboxes, throttles and passwords, without anything around them."""

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroinvoice.domain import access
from zeroinvoice.domain.access import Caller, Unproved
from zeroinvoice.domain.mailbox import (
    AddressClaimed,
    Mailbox,
    PasswordResetAsked,
    PasswordResetUsed,
    mailbox_id,
    normalised,
    read_reset_token,
    reset_token,
)
from zeroinvoice.domain.passwords import canonical, check_strength
from zeroinvoice.domain.session import Session, SessionEnded, SessionStarted
from zeroinvoice.domain.throttle import AttemptCounted, AttemptsCleared, Throttle, network_of
from zeroinvoice.domain.user import MOST_SESSIONS, LoggedIn, LoggedOut, User, UserRegistered
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Event, State
from zeroinvoice.kernel.refusals import Invalid, Throttled
from zeroinvoice.kernel.secrets import Keyring

S = TypeVar("S", bound=State[Any])

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
KEYRING = Keyring(b"k" * 32)
SECOND = timedelta(seconds=1)
registered = UserRegistered("a@example.com", "Jane Dev", "$hash", "en", "device-1")


def told(kind: type[S], *events: tuple[timedelta, Event]) -> S:
    """A stream's state after events, each at a time after NOW."""
    state = kind()
    for after, event in events:
        state = state.told(event, NOW + after)
    return state


# Throttles


def failed(many: int) -> Throttle:
    return told(Throttle, *((n * SECOND, AttemptCounted("login")) for n in range(many)))


@given(st.integers(0, 40))
def test_a_wait_doubles_up_to_a_quarter_of_an_hour(many: int) -> None:
    """Rule 8: five are free; then 1, 2, 4 … seconds, never more than 15 minutes."""
    throttle = failed(many)
    last = NOW + (many - 1) * SECOND
    if many < 5:
        throttle.admit(5, last)
        return
    wait = min(2 ** (many - 5), 900)
    with pytest.raises(Throttled) as refused:
        throttle.admit(5, last)
    assert refused.value.retry_after == wait
    throttle.admit(5, last + wait * SECOND)


def test_an_hour_without_attempts_forgets_them() -> None:
    throttle = failed(30)
    later = timedelta(hours=1, minutes=1)
    assert throttle.told(AttemptCounted("login"), NOW + later).counted == 1


def test_the_right_password_forgives_and_says_so_only_when_there_is_something() -> None:
    assert list(failed(2).forgive()) == [AttemptsCleared()]
    assert list(Throttle().forgive()) == []


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "unknown"),
        ("/run/socket", "unknown"),
    ],
)
def test_whoever_holds_a_network_is_one_caller(ip: str | None, network: str) -> None:
    """Rule 8: an IPv4 address, or the /64 that any customer can roam in."""
    assert network_of(ip) == network


# Mailboxes


def test_an_address_is_one_however_it_is_typed() -> None:
    """Rule 1."""
    assert mailbox_id(" A@Example.COM ") == mailbox_id("a@example.com")
    assert normalised("Zoe\u0308@x.example") == normalised("zoë@x.example")


def test_only_the_newest_reset_of_the_last_hour_is_good_and_only_once() -> None:
    """Rule 7."""
    claimed = (timedelta(), AddressClaimed(uuid4(), uuid4()))
    box = told(Mailbox, claimed, (SECOND, PasswordResetAsked()), (2 * SECOND, PasswordResetAsked()))
    for version, at in ((2, NOW), (1, NOW), (3, NOW + timedelta(hours=2))):
        with pytest.raises(Invalid, match="not valid any more"):
            list(box.use_reset(version, at))
    assert list(box.use_reset(3, NOW)) == [PasswordResetUsed()]
    with pytest.raises(Invalid):
        list(box.told(PasswordResetUsed(), NOW).use_reset(3, NOW))


def test_a_reset_of_an_address_that_is_nobodys_opens_nothing() -> None:
    box = told(Mailbox, (SECOND, PasswordResetAsked()))
    with pytest.raises(Invalid):
        list(box.use_reset(1, NOW))


@given(st.text(max_size=200))
def test_no_text_passes_for_a_reset_token(text: str) -> None:
    with pytest.raises(Invalid):
        read_reset_token(KEYRING, text)


@given(st.uuids(), st.integers(1, 10**9))
def test_a_reset_token_names_its_mailbox_and_version(mailbox: Any, version: int) -> None:
    token = reset_token(KEYRING, mailbox, version)
    assert read_reset_token(KEYRING, token) == (mailbox, version)
    with pytest.raises(Invalid):
        read_reset_token(Keyring(b"x" * 32), token)


# Users


def test_a_device_is_known_under_a_former_key_and_from_then_on_under_the_new_one() -> None:
    """T45: nobody is warned of a device only because a key was rotated."""
    old, both, new = KEYRING, Keyring(b"n" * 32, b"k" * 32), Keyring(b"n" * 32)
    before, during, after = (Caller.of("192.0.2.1", "Browser", it) for it in (old, both, new))
    user = User.after(registered.but(device=before.device))
    (entered,) = user.log_in(UUID(int=1), during.device, NOW, formerly=during.formerly)
    assert entered == LoggedIn(UUID(int=1), after.device, False, None)
    user = user.told(entered, NOW)
    (again,) = user.log_in(UUID(int=2), after.device, NOW, formerly=after.formerly)
    assert not again.new_device
    (unknown,) = User.after(registered).log_in(UUID(int=3), during.device, NOW)
    assert unknown.new_device


def test_a_login_from_an_unknown_device_says_so() -> None:
    """Rule 11."""
    user, session = User.after(registered), uuid4()
    assert list(user.log_in(session, "device-1", NOW)) == [LoggedIn(session, "device-1", False)]
    assert list(user.log_in(session, "device-2", NOW)) == [LoggedIn(session, "device-2", True)]


def test_a_user_knows_their_open_sessions() -> None:
    first, second = uuid4(), uuid4()
    user = told(
        User,
        (timedelta(), registered),
        (timedelta(days=1), LoggedIn(first, "d", False)),
        (timedelta(days=2), LoggedIn(second, "d", False)),
    )
    assert [it.id for it in user.open_sessions(NOW + timedelta(days=30))] == [first, second]
    assert [it.id for it in user.open_sessions(NOW + timedelta(days=31))] == [second]
    assert list(user.log_out(second)) == [LoggedOut(second)]
    assert list(user.log_out(uuid4())) == []


def test_one_session_too_many_ends_the_oldest() -> None:
    """So that one commit can always end them all."""
    streams: dict[Any, State[Any]] = {}
    tenant, user_id = uuid4(), uuid4()
    box = mailbox_id("a@example.com")
    streams[box] = Mailbox(id=box).told(AddressClaimed(user_id, tenant), NOW)
    user = User(id=user_id).told(registered, NOW)
    sessions = [uuid4() for _ in range(MOST_SESSIONS)]
    for n, id in enumerate(sessions):
        user = user.told(LoggedIn(id, "d", False), NOW + n * SECOND)
        streams[id] = Session(id=id).told(SessionStarted(user_id), NOW)
    streams[user_id] = user

    def look(kind: type[State[Any]], place: Any) -> State[Any]:
        return streams.get(place[1], kind(id=place[1]))

    desk = Desk(tenant, NOW + timedelta(hours=1), look)
    done = access.log_in(desk, box, "$hash", Caller("net", "d"))
    assert not isinstance(done, Unproved)
    ended = [place[1] for place, _, event, _ in desk.recorded if isinstance(event, SessionEnded)]
    assert ended == [sessions[0]]
    latest = desk.find(User, user_id)
    assert len(latest.sessions) == MOST_SESSIONS


@pytest.mark.parametrize(
    "address", ["", "a", "a@", "@b.example", "a b@c.example", "a@b", "a@b.c\x7f"]
)
def test_what_no_letter_could_be_sent_to_is_no_address(address: str) -> None:
    with pytest.raises(Invalid):
        list(User().register(address, "Jane", "$hash", "en", "d"))


# Passwords


@pytest.mark.parametrize(
    "password", ["", "1234567", "passw0rd", "PASSWORD1", "qwertyuiop", "ｐａｓｓｗｏｒｄ"]
)
def test_what_is_tried_first_is_refused(password: str) -> None:
    """Rule 1."""
    with pytest.raises(Invalid) as refused:
        check_strength(password)
    assert refused.value.code == "weak_password"


@given(st.text(min_size=12, max_size=1024).filter(lambda it: len(canonical(it)) >= 12))
def test_whatever_is_long_is_let_in(password: str) -> None:
    check_strength(password)
