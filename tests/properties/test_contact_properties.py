"""Contacts: whatever is added, revised, chosen and removed, exactly one is the primary one."""

from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from zeroinvoice.domain.contact_book import ContactBook, Person
from zeroinvoice.kernel.refusals import Missing, Refused

CLIENT = UUID(int=1)
ids = st.integers(1, 6).map(lambda n: UUID(int=n))
emails = st.sampled_from([None, "a@x.example", "A@X.example", "b@x.example"])
steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "revise", "choose", "remove"]),
        ids,
        emails,
        st.sampled_from([None, True, False]),
    ),
    max_size=25,
)


def taken(book: ContactBook, verb: str, id: UUID, email: str | None, primary: Any) -> ContactBook:
    person = Person(first_name="A", email=email)
    match verb:
        case "add":
            known = {it.id for it in book.contacts}
            fresh = next(it for n in range(100, 200) if (it := UUID(int=n)) not in known)
            events = book.add(CLIENT, fresh, person, primary=primary is True)
        case "revise":
            events = book.revise(id, person, primary=primary)
        case "choose":
            events = book.choose(id)
        case _:
            events = book.remove(id)
    for event in events:
        book = book.evolve(event)  # type: ignore[arg-type]  # a contact event
    return book


@given(steps)
def test_exactly_one_contact_is_primary_as_long_as_there_is_any(
    asked: list[tuple[str, UUID, str | None, bool | None]],
) -> None:
    """A5-2 and A5-3; what is refused changes nothing."""
    book = ContactBook()
    for verb, chosen, email, primary in asked:
        # Half of the time somebody who is there, so that the verbs bite.
        there = [it.id for it in book.contacts]
        id = there[chosen.int % len(there)] if there and chosen.int % 2 else chosen
        before = book
        try:
            book = taken(book, verb, id, email, primary)
        except (Refused, Missing):
            assert book == before
        present = [it.id for it in book.contacts]
        assert len(set(present)) == len(present)
        assert (book.primary in present) if present else book.primary is None
        addresses = [it.person.email.casefold() for it in book.contacts if it.person.email]
        assert len(set(addresses)) == len(addresses)
