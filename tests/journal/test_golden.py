"""Golden facts: whatever was ever stored is read for ever, and written as it was."""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.persistence import JSONTranscoder

from tests.journal.golden import shape
from zeroinvoice.domain import EVENTS, FORMER
from zeroinvoice.domain.invoice import InvoiceWrittenOff
from zeroinvoice.gateways.sealing import DataKey
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.mapper import FactMapper, StoredFact, UnknownTopic, Unreadable
from zeroinvoice.kernel.facts import Event, Former, Personal, topic_of, topics_of

HERE = Path(__file__).parent
FILE = HERE / "golden" / "events.jsonl"
SHAPES = FILE.with_name("shapes.json")
LINES: list[tuple[str, str]] = [
    (row["topic"], row["state"]) for row in map(json.loads, FILE.read_text().splitlines())
]
SEALED: list[tuple[str, str]] = [
    (row["topic"], row["state"])
    for row in map(json.loads, (HERE / "golden" / "sealed.jsonl").read_text().splitlines())
]
NAMESPACE = UUID("6f1b0c9e-6f0b-4c8f-9a53-0f5d2c7b9a11")  # tenant and stream of the sealed ones
SUBJECT = UUID("0c7f3e52-8f0d-4a44-9d3e-52b6f0a6c7d1")
PLACE = (1, UUID(int=1), UUID(int=2), 1)


def read_and_written(mapper: FactMapper, topic: str, state: str) -> tuple[str, str]:
    """The topic and state that a stored fact has after it was read and is written again."""
    fact = mapper.fact(*PLACE, topic, state)
    assert type(fact.event) is next(it for it in EVENTS if topic_of(it) == topic)
    again = mapper.to_stored_event(fact)
    assert isinstance(again, StoredFact)
    return again.topic, again.state.decode()


def test_every_class_of_event_has_its_golden_lines() -> None:
    """`make events` adds those of a new one."""
    assert {topic_of(event) for event in EVENTS} <= {topic for topic, _ in LINES}


def test_every_class_of_event_is_as_it_was_written_down() -> None:
    """Whoever changes one raises its `VERSION`, and `make events` writes that one down."""
    shapes = json.loads(SHAPES.read_text())
    for event in EVENTS:
        assert shape(event) == shapes[topic_of(event)], event.__name__


def test_what_was_stored_in_former_versions_is_still_read() -> None:
    """A version is given up by nobody: its shape, its golden lines and its upcast stay."""
    every, former = topics_of(*EVENTS), {it.TOPIC for it in FORMER}
    topics = {topic for topic, _ in LINES}
    assert topics == set(json.loads(SHAPES.read_text())) == every | former
    mapper = Journal().facts_mapper
    for topic, state in LINES:
        if topic not in CURRENT:
            assert topic_of(type(mapper.fact(*PLACE, topic, state).event)) in CURRENT


CURRENT = sorted({topic_of(event) for event in EVENTS})


@pytest.mark.parametrize("topic", CURRENT)
def test_what_was_stored_is_read_and_written_in_the_same_bytes(topic: str) -> None:
    """A class is never renamed; a field of one is never removed, renamed or retyped.

    A field may be added, in a new version, if it has a default and the class omits its defaults.
    """
    mapper = Journal().facts_mapper
    for state in (state for name, state in LINES if name == topic):
        assert read_and_written(mapper, topic, state) == (topic, state)


class Held:
    """Stands for the master keys: whatever is wrapped is the key of the golden lines."""

    current = "golden"

    def make(self, tenant: UUID, id: UUID) -> tuple[DataKey, bytes]:
        raise AssertionError("no key is made here")

    def unwrap(self, tenant: UUID, id: UUID, name: str, wrapped: bytes) -> DataKey:
        return DataKey(SUBJECT, wrapped)


@pytest.mark.parametrize(("topic", "state"), SEALED)
def test_what_was_sealed_is_opened_with_its_key_and_sealed_as_it_was(
    topic: str, state: str
) -> None:
    """To the byte; and without the key what remains is read, to the byte as well."""
    mapper, place = Journal(masters=Held()).facts_mapper, (1, NAMESPACE, NAMESPACE, 1)
    whole = mapper.fact(*place, topic, state, "golden", bytes(range(32)))
    rest = mapper.fact(*place, topic, state)
    assert isinstance(whole.event, Personal)
    assert whole.subject == rest.subject == SUBJECT
    assert whole.event != rest.event == whole.event.redacted()
    key = DataKey(SUBJECT, bytes(range(32)))
    assert mapper.sealed_state_of(whole, rest.event, key).decode() == state
    assert "sealed" not in json.loads(mapper.sealed_state_of(whole, rest.event, None))


def test_every_class_about_a_person_has_its_sealed_line() -> None:
    """`make events` adds that of a new one."""
    personal = {event.__name__ for event in EVENTS if issubclass(event, Personal)}
    assert personal == {topic for topic, _ in SEALED}


def test_a_topic_that_nobody_knows_is_not_read() -> None:
    """The allow-list: nothing is imported because a row names it."""
    _, state = LINES[0]
    for topic in ("InvoiceExploded", "os.system", "zeroinvoice.domain.invoice:InvoiceSent", ""):
        with pytest.raises(UnknownTopic):
            Journal().facts_mapper.fact(*PLACE, topic, state)


def changed(defaults: dict[str, Any] | None = None, /, *, omits: bool = False, **types: Any) -> Any:
    """`InvoiceWrittenOff` as it might have been changed: other fields, other defaults."""
    body = {"__annotations__": types, **(defaults or {})}
    return type(Event)("InvoiceWrittenOff", (Event,), body, kw_only=True, omit_defaults=omits)


NONE: dict[str, Any] = {"reason": None}
LATER: dict[str, Any] = {**NONE, "partly": False}
TEXT = str | None
CHANGES = {
    "a field removed": changed(amount=Decimal),
    "a field renamed": changed(NONE, given_up=Decimal, reason=TEXT),
    "an optional field renamed": changed({"why": None}, amount=Decimal, why=TEXT),
    "a type changed": changed(NONE, amount=int, reason=TEXT),
    "a required field added": changed(NONE, amount=Decimal, reason=TEXT, booked_by=str),
    "fields in another order": changed(NONE, reason=TEXT, amount=Decimal),
    "a field added that is always written": changed(
        LATER, amount=Decimal, reason=TEXT, partly=bool
    ),
}
ALLOWED = changed(LATER, omits=True, amount=Decimal, reason=TEXT, partly=bool)


def survives(event: type[Event]) -> bool:
    """Whether the golden lines of a class would still pass if it were this one."""
    mapper = FactMapper(JSONTranscoder(), [event])
    for topic, state in LINES:
        if topic == topic_of(event):
            try:
                fact = mapper.fact(*PLACE, topic, state)
            except Unreadable:
                return False
            if mapper.state_of(fact).decode() != state:
                return False
    return True


@pytest.mark.parametrize("change", [*CHANGES, "a field added"])
def test_a_changed_class_needs_another_version(change: str) -> None:
    """Also where old facts could still be read: older programs could not read the new ones."""
    shapes = json.loads(SHAPES.read_text())
    event = CHANGES.get(change, ALLOWED)
    if change != "fields in another order":  # which the golden lines notice
        assert shape(event) != shapes[topic_of(event)]
    event.VERSION = 2
    assert topic_of(event) not in shapes
    event.VERSION = 1


class WrittenOffOnce(Former):
    """As a class might have looked before it was changed into what it is."""

    TOPIC = "InvoiceWrittenOff"

    amount: Decimal
    reason: str | None = None

    def upcast(self) -> Event:
        return InvoiceWrittenOffLater(amount=self.amount, reason=self.reason, partly=False)


class InvoiceWrittenOffLater(Event):
    VERSION = 2

    amount: Decimal
    reason: str | None
    partly: bool


def test_a_former_shape_is_told_in_the_words_of_the_class() -> None:
    """What lies in the journal keeps its bytes; what is made of it is of today."""
    mapper = FactMapper(JSONTranscoder(), [InvoiceWrittenOffLater], former=[WrittenOffOnce])
    for topic, state in LINES:
        if topic == WrittenOffOnce.TOPIC:
            fact = mapper.fact(*PLACE, topic, state)
            assert isinstance(fact.event, InvoiceWrittenOffLater)
            assert fact.event.amount == Decimal(json.loads(state)["event"]["amount"])
            again = mapper.to_stored_event(fact)
            assert again.topic == "InvoiceWrittenOffLater.2"
            assert mapper.to_domain_event(again) == fact
    assert topics_of(InvoiceWrittenOffLater) == {
        "InvoiceWrittenOffLater", "InvoiceWrittenOffLater.2"
    }  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_class_that_was_changed_is_noticed(change: str) -> None:
    """These lines would fail with any of them; they pass with the class as it is."""
    assert survives(InvoiceWrittenOff)
    assert not survives(CHANGES[change])


def test_a_field_may_be_added_that_is_left_out_by_default() -> None:
    assert survives(ALLOWED)


def test_the_program_adds_what_is_missing_and_rewrites_nothing(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    kept = [it for it in FILE.read_text().splitlines(keepends=True) if '"InvoiceSent"' not in it]
    kept[0] = json.dumps({"topic": LINES[0][0], "state": "as it was stored long ago"}) + "\n"
    file.write_text("".join(kept))
    for expected in ("InvoiceSent", "none"):
        ran = subprocess.run(
            [sys.executable, "-P", HERE / "golden.py", file, tmp_path / "sealed.jsonl"],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ran.stdout.strip().endswith(f": {expected}")
    text = file.read_text()
    assert text.startswith("".join(kept))
    added = text.removeprefix("".join(kept)).splitlines()
    assert {json.loads(it)["topic"] for it in added} == {"InvoiceSent"}
