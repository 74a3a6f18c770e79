"""Contact books as a state: one primary contact, one contact an e-mail address."""

from uuid import UUID

import pytest

from zeroinvoice.domain.contact_book import (
    MOST_CONTACTS,
    ContactAdded,
    ContactBook,
    ContactRemoved,
    ContactRevised,
    Person,
    PrimaryContactChosen,
    contact_book_of,
)
from zeroinvoice.kernel.refusals import Invalid, Missing, Refused

CLIENT, ANN, BOB, CY = (UUID(int=it) for it in (1, 2, 3, 4))
ann = ContactAdded(CLIENT, ANN, Person(first_name="Ann", email="ann@acme.example"), True)
bob = ContactAdded(CLIENT, BOB, Person(first_name="Bob"), False)
cy = ContactAdded(CLIENT, CY, Person(first_name="Cy"), False)


def test_the_first_contact_is_the_primary_one() -> None:
    """A5-2."""
    assert list(ContactBook().add(CLIENT, ANN, ann.person, primary=False)) == [ann]
    assert list(ContactBook.after(ann).add(CLIENT, BOB, bob.person, primary=False)) == [bob]


def test_choosing_one_un_sets_the_other_in_the_same_event() -> None:
    """A5-2."""
    book = ContactBook.after(ann, bob)
    assert list(book.choose(BOB)) == [PrimaryContactChosen(BOB)]
    assert ContactBook.after(ann, bob, PrimaryContactChosen(BOB)).primary == BOB
    assert list(book.choose(ANN)) == []
    assert list(book.add(CLIENT, CY, cy.person, primary=True)) == [cy.but(primary=True)]
    assert ContactBook.after(ann, cy.but(primary=True)).primary == CY


def test_removing_the_primary_one_promotes_the_oldest() -> None:
    """A5-2."""
    book = ContactBook.after(cy.but(primary=True), ann.but(primary=False), bob)
    assert list(book.remove(CY)) == [ContactRemoved(CY, ANN)]
    assert list(book.remove(BOB)) == [ContactRemoved(BOB)]
    left = ContactBook.after(ann, bob, ContactRemoved(ANN, BOB))
    assert (left.primary, [it.id for it in left.contacts]) == (BOB, [BOB])
    none = ContactBook.after(ann, ContactRemoved(ANN))
    assert (none.primary, none.contacts) == (None, ())


def test_nobody_can_be_made_no_primary_contact() -> None:
    book = ContactBook.after(ann, bob)
    with pytest.raises(Refused) as no:
        list(book.revise(ANN, ann.person, primary=False))
    assert no.value.code == "primary_needed"
    assert list(book.revise(BOB, bob.person, primary=False)) == []


def test_a_revision_says_only_what_is_new() -> None:
    book = ContactBook.after(ann, bob)
    robert = Person(first_name="Robert")
    assert list(book.revise(BOB, bob.person)) == []
    assert list(book.revise(BOB, robert, primary=True)) == [
        ContactRevised(BOB, robert),
        PrimaryContactChosen(BOB),
    ]


def test_an_email_address_stands_once_in_a_book() -> None:
    """A5-3: whatever the case of its letters."""
    book = ContactBook.after(ann, bob)
    same = Person(first_name="Anna", email="ANN@Acme.Example")
    for refused in (book.add(CLIENT, CY, same, primary=False), book.revise(BOB, same)):
        with pytest.raises(Refused) as no:
            list(refused)
        assert (no.value.code, no.value.details) == ("email_taken", {"contact_id": str(ANN)})
    assert list(book.revise(ANN, same)) == [ContactRevised(ANN, same)]
    gone = ContactBook.after(ann, bob, ContactRemoved(ANN, BOB))
    assert list(gone.revise(BOB, same)) == [ContactRevised(BOB, same)]


def test_contacts_without_an_address_do_not_stand_in_each_others_way() -> None:
    """A5-3."""
    assert list(ContactBook.after(bob).add(CLIENT, CY, cy.person, primary=False)) == [cy]


@pytest.mark.parametrize(
    ("person", "code"),
    [
        (Person(role="CFO"), "contact_unnamed"),
        (Person(email="nobody"), "bad_email"),
        (Person(first_name="A", locale="german"), None),
        (Person(first_name="A", locale="de_DE"), "bad_language"),
        (Person(first_name="x" * 101), "text_too_long"),
        (Person(first_name="A", phone="1" * 51), "text_too_long"),
    ],
)
def test_a_person_can_be_named_and_reached(person: Person, code: str | None) -> None:
    """A5-1."""
    if code is None:
        person.check()
        return
    with pytest.raises(Invalid) as no:
        list(ContactBook().add(CLIENT, ANN, person, primary=False))
    assert no.value.code == code


def test_who_is_not_in_the_book_is_missing() -> None:
    book = ContactBook.after(ann, bob, ContactRemoved(BOB))
    for verb in (book.choose(BOB), book.remove(CY), book.revise(BOB, bob.person)):
        with pytest.raises(Missing):
            list(verb)


def test_a_book_has_a_last_page() -> None:
    events = [ann.but(contact_id=UUID(int=n + 10)) for n in range(MOST_CONTACTS)]
    with pytest.raises(Invalid) as no:
        list(ContactBook.after(*events).add(CLIENT, BOB, bob.person, primary=False))
    assert no.value.code == "too_many_contacts"


def test_a_client_has_one_book() -> None:
    assert contact_book_of(CLIENT, ANN) == contact_book_of(CLIENT, ANN)
    assert contact_book_of(CLIENT, ANN) != contact_book_of(CLIENT, BOB)
