"""Sessions and second factors, in any order: who is in has proved it, and each code once."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from zeroinvoice.domain import access, proving
from zeroinvoice.domain.access import Caller, Registration, Unproved
from zeroinvoice.domain.mailbox import Mailbox, mailbox_id
from zeroinvoice.domain.principal import Entrant, Principal
from zeroinvoice.domain.proving import Claim
from zeroinvoice.domain.session import HALF_LASTS, Session
from zeroinvoice.domain.two_factor import (
    MOST_WRONG,
    WRONG_FOR,
    FactorKeys,
    Proof,
    TwoFactor,
    code_of,
    step_of,
    two_factor_of,
)
from zeroinvoice.domain.user import User
from zeroinvoice.domain.workspace import Settings
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import HOUSE, State
from zeroinvoice.kernel.refusals import Forbidden, Refusal, Throttled, Unauthenticated
from zeroinvoice.kernel.secrets import Keyring

T = TypeVar("T")

EMAIL, CALLER = "a@example.com", Caller("network", "device")
BOX = mailbox_id(EMAIL)
BESIDE = st.sampled_from([-2, -1, 0, 1, 2])  # the step of a code, from now
START = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Sessions(RuleBasedStateMachine):
    """The decisions on streams in memory, and beside them a plain account of what must be so."""

    @initialize(on=st.booleans())
    def register(self, on: bool) -> None:
        self.now = START
        self.ids = itertools.count(1)
        self.streams: dict[tuple[UUID, UUID], State[Any]] = {}
        self.tenant = HOUSE  # as whoever registers acts
        asked = Registration(EMAIL, "Jane", "hash-0", "en", Settings("J"), log_in=True)
        done = self.decided(lambda desk: access.register(desk, asked, CALLER))
        assert isinstance(done, tuple)
        user, workspace, session = done
        self.user, self.tenant = user.id, workspace.id
        self.keys = FactorKeys(user.id, Keyring(b"u" * 32).seal, Keyring(b"k" * 32))
        self.password = 0
        self.whole: set[UUID] = {session.id}
        self.half: dict[UUID, datetime] = {}
        self.dead: set[UUID] = set()
        self.on = False
        self.pending: str | None = None
        self.secret: str | None = None
        self.latest = 0  # step that was taken
        self.backup: set[str] = set()
        self.wrong: list[datetime] = []
        if on:
            self.set_up_by(session.id)
            self.switch_on_by(session.id, 0)

    # What is done, and what is known of it

    def decided(self, decision: Callable[[Desk], T]) -> T | Refusal:
        """What a decision answers, and all it records; or its refusal, and nothing."""

        def look(kind: type[State[Any]], place: tuple[UUID, UUID]) -> State[Any]:
            return self.streams.get(place, kind(id=place[1]))

        desk = Desk(self.tenant, self.now, look, draw=lambda: UUID(int=next(self.ids)))
        try:
            answer = decision(desk)
        except Refusal as no:
            return no
        self.streams.update(desk.opened)
        return answer

    def locked(self) -> bool:
        return len(self.wrong) >= MOST_WRONG and self.now - self.wrong[-MOST_WRONG] < WRONG_FOR

    def good(self, beside: int) -> bool:
        """Whether a code of that step must be taken."""
        return abs(beside) <= 1 and step_of(self.now) + beside > self.latest

    def code(self, beside: int, secret: str | None = None) -> Proof:
        secret = secret or self.secret or self.keys.secret(UUID(int=1))
        return Proof(self.keys, code_of(secret, step_of(self.now) + beside))

    def told(self, answer: Any, good: bool, taken: Callable[[], None]) -> bool:
        """Compare an answer to a code with what it must be; whether the code was taken."""
        if self.locked():
            assert isinstance(answer, Throttled)
            return False
        if not good:
            assert answer == Unproved("code")
            self.wrong.append(self.now)
            return False
        assert not isinstance(answer, (Unproved, Refusal)), answer
        self.wrong.clear()
        taken()
        return True

    def took(self, beside: int) -> None:
        self.latest = step_of(self.now) + beside

    def claim(self, session: UUID, proof: Proof, *, right: bool = True) -> Claim:
        hash = f"hash-{self.password}" if right else None
        return Claim(self.user, session, CALLER, proof, hash)

    def end(self, *but: UUID) -> None:
        self.dead |= (self.whole | set(self.half)) - set(but)
        self.whole &= set(but)
        self.half.clear()

    def any_whole(self, n: int) -> UUID:
        return sorted(self.whole)[n % len(self.whole)]

    # Rules

    @rule(seconds=st.sampled_from([1, 20, 30, 45, 120, 400]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def log_in_with_a_wrong_password(self) -> None:
        answer = self.decided(lambda desk: access.log_in(desk, BOX, None, CALLER))
        assert answer == Unproved("password") or isinstance(answer, Throttled)

    @rule(otp=st.none() | BESIDE)
    def log_in(self, otp: int | None) -> None:
        matched = f"hash-{self.password}"
        proof = None if otp is None else self.code(otp)
        answer: Any = self.decided(lambda desk: access.log_in(desk, BOX, matched, CALLER, proof))
        alone = not self.on or otp is None  # nobody looks at a code
        if isinstance(answer, Throttled) and (alone or not self.locked()):
            return  # wrong passwords came before
        if alone:
            session = answer[0]
            assert session.half == self.on
            if self.on:
                self.half[session.id] = self.now
            else:
                self.whole.add(session.id)
        elif self.told(answer, self.good(otp), lambda: self.took(otp)):
            self.whole.add(answer[0].id)

    @precondition(lambda self: self.half or self.dead)
    @rule(n=st.integers(0, 30), beside=BESIDE)
    def finish(self, n: int, beside: int) -> None:
        """With any session but a whole one; only one that waits can become whole."""
        known = sorted(set(self.half) | self.dead)
        self.finished(known[n % len(known)], self.code(beside), self.good(beside), beside)

    @precondition(lambda self: self.half)
    @rule(n=st.integers(0, 30), many=st.integers(2, 6))
    def guess(self, n: int, many: int) -> None:
        session = sorted(self.half)[n % len(self.half)]
        for _ in range(many):
            self.finished(session, Proof(self.keys, backup_code="guess"), False, None)

    @precondition(lambda self: self.half and self.backup)
    @rule(n=st.integers(0, 30), right=st.booleans())
    def finish_by_backup_code(self, n: int, right: bool) -> None:
        code = sorted(self.backup)[0] if right else "0000-0000-0000-0000"
        session = sorted(self.half)[n % len(self.half)]
        self.finished(session, Proof(self.keys, backup_code=code), right, None)

    def finished(self, session: UUID, proof: Proof, good: bool, beside: int | None) -> None:
        answer: Any = self.decided(lambda desk: access.finish(desk, session, proof, CALLER))
        begun = self.half.get(session)
        if begun is None or self.now - begun > HALF_LASTS or not self.on:
            assert isinstance(answer, Unauthenticated), answer
            return

        def taken() -> None:
            if beside is not None:
                self.took(beside)
            else:
                self.backup.discard(proof.backup_code or "")

        locked = self.locked()
        if self.told(answer, good, taken):
            del self.half[session]
            self.whole.add(session)
        elif not locked and self.locked():
            del self.half[session]
            self.dead.add(session)

    @precondition(lambda self: self.whole)
    @rule(n=st.integers(0, 30), right=st.booleans())
    def set_up(self, n: int, right: bool) -> None:
        self.set_up_by(self.any_whole(n), right=right)

    def set_up_by(self, session: UUID, *, right: bool = True) -> None:
        claim = self.claim(session, self.code(0), right=right)
        answer: Any = self.decided(lambda desk: proving.prepare(desk, claim))
        if isinstance(answer, tuple):
            assert right
            assert not self.on
            self.pending = self.keys.secret(answer[1])

    @precondition(lambda self: self.whole and self.pending and not self.on)
    @rule(n=st.integers(0, 30), beside=BESIDE)
    def switch_on(self, n: int, beside: int) -> None:
        self.switch_on_by(self.any_whole(n), beside)

    def switch_on_by(self, session: UUID, beside: int) -> None:
        claim = self.claim(session, self.code(beside, self.pending))
        answer: Any = self.decided(lambda desk: proving.enable(desk, claim))
        if self.told(answer, abs(beside) <= 1, lambda: self.took(beside)):
            self.on, self.secret, self.pending = True, self.pending, None
            self.backup = set(self.keys.backup_codes(answer))
            self.end(session)

    @precondition(lambda self: self.whole and self.on)
    @rule(n=st.integers(0, 30), beside=BESIDE)
    def switch_off(self, n: int, beside: int) -> None:
        session = self.any_whole(n)
        claim = self.claim(session, self.code(beside))
        answer: Any = self.decided(lambda desk: proving.disable(desk, claim))
        if isinstance(answer, Throttled) and not self.locked():
            return
        if self.told(answer, self.good(beside), lambda: None):
            self.on, self.secret, self.backup, self.latest = False, None, set(), 0
            self.end(session)

    @rule()
    def reset_the_password(self) -> None:
        self.decided(lambda desk: access.ask_reset(desk, BOX, CALLER))
        box = self.streams[HOUSE, BOX]
        assert isinstance(box, Mailbox)
        new = f"hash-{self.password + 1}"
        answer = self.decided(lambda desk: access.reset(desk, BOX, box.reset, new, CALLER))
        if not isinstance(answer, Refusal):
            self.password += 1
            self.end()

    @precondition(lambda self: self.whole)
    @rule(n=st.integers(0, 30))
    def log_out(self, n: int) -> None:
        session = self.any_whole(n)
        self.decided(lambda desk: access.log_out(desk, session))
        self.whole.discard(session)
        self.dead.add(session)

    # What must hold after each

    def admitted(self, kind: type[Principal], session: UUID) -> None:
        """Raises what somebody with a token of that session hears when they ask for something."""
        speaker = kind(self.user, self.tenant, session, self.now)
        outcome = self.decided(lambda desk: speaker.admit(desk, ("clients:read",)))
        if isinstance(outcome, Refusal):
            raise outcome

    @invariant()
    def whoever_proved_it_is_in_and_nobody_else(self) -> None:
        """T10: a half session is let in nowhere, whatever token speaks for it."""
        for session in self.whole:
            self.admitted(Principal, session)
        for kind in (Principal, Entrant):
            for session, begun in self.half.items():
                told = Unauthenticated if self.now - begun > HALF_LASTS else Forbidden
                assert isinstance(_refusal(self, kind, session), told)
            for session in self.dead:
                assert isinstance(_refusal(self, kind, session), Unauthenticated)

    @invariant()
    def the_user_knows_their_sessions(self) -> None:
        user = self.streams[self.tenant, self.user]
        assert isinstance(user, User)
        assert {it.id for it in user.sessions} == self.whole
        begun = (it for it in self.streams.values() if isinstance(it, Session))
        assert {it.id for it in begun} == self.whole | set(self.half) | self.dead

    @invariant()
    def the_factor_is_as_it_was_left(self) -> None:
        place = (self.tenant, two_factor_of(self.tenant, self.user))
        factor = self.streams.get(place, TwoFactor())
        assert isinstance(factor, TwoFactor)
        assert factor.on == self.on
        assert set(factor.backup_hashes) == {self.keys.hashed(it) for it in self.backup}


def _refusal(machine: Sessions, kind: type[Principal], session: UUID) -> Refusal | None:
    try:
        machine.admitted(kind, session)
    except Refusal as no:
        return no
    return None


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
