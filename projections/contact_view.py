"""A contact as one sees it alone: the same view for a write's answer, a read and the past."""

from datetime import datetime
from uuid import UUID

from zeroinvoice.domain.contact_book import ContactBook, Receives
from zeroinvoice.kernel.value import Value


class ContactView(Value, kw_only=True):
    """A contact of a client. `version` is that of all the client's contacts together."""

    id: UUID
    is_primary: bool
    first_name: str | None
    last_name: str | None
    email: str | None
    phone: str | None  # as it was typed
    phone_e164: str | None  # where it could be told
    mobile: str | None
    mobile_e164: str | None
    role: str | None
    department: str | None
    locale: str | None
    receives: Receives
    cc_mode: str  # to, cc, bcc
    portal_enabled: bool
    notes: str | None
    created_at: datetime | None
    updated_at: datetime | None
    version: int

    @classmethod
    def of(cls, book: ContactBook, contact_id: UUID) -> "ContactView":
        """Raises `Missing` for a contact that is not in the book."""
        it = book.contact(contact_id)
        written = {name: getattr(it.person, name) for name in it.person.__struct_fields__}
        return cls(
            id=it.id,
            is_primary=book.primary == it.id,
            created_at=it.added_at,
            updated_at=it.revised_at,
            version=book.version,
            **written,
        )
