"""Ways: from the client whose a record is, through merges, to the one it was entered for."""

from uuid import UUID

from zeroinvoice.kernel.value import Value


class Station(Value):
    """A client on a record's way, as it was when the record was entered."""

    client_id: UUID
    since: int  # the client's version at its latest merge that stood then; 0 without one


Way = tuple[Station, ...]  # each was merged into the next one before the record was entered
