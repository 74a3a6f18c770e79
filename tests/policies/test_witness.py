"""The witness: heads are signed as the journal grows, and hold against what is exported later."""

import io
from pathlib import Path
from typing import Any

import pytest

from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.broken import Broken
from zeroinvoice.journal.heads import Signer, read_heads
from zeroinvoice.journal.proof import Exported, export
from zeroinvoice.journal.schema import WORK_ROLE, conninfo
from zeroinvoice.kernel.secrets import Keyring
from zeroinvoice.policies.witness import Witness


def exported(house: Any, office: Any) -> bytes:
    journal, file = Journal.at(house.database_url), io.BytesIO()
    try:
        export(journal.every_row(), file, office.tenant)
    finally:
        journal.close()
    return file.getvalue()


def test_signed_heads_hold_against_every_later_export(
    house: Any, office: Any, tmp_path: Path
) -> None:
    """Beyond 3: a tail that is cut off later shows."""
    keyring = Keyring(*house.settings.secret_keys)
    url = conninfo(house.database_url, WORK_ROLE, application="witness test")
    witness = Witness(url, tmp_path / "heads", keyring, house.clock)
    office.made("/api/clients", {"name": "Acme"})
    assert witness.sign() >= 1
    client = office.made("/api/clients", {"name": "Bolt"})
    assert witness.sign() >= 1
    (file,) = (tmp_path / "heads").iterdir()
    signed = read_heads(file.read_bytes().splitlines())
    heads = [it.check([Signer(keyring).public]) for it in signed]
    ours = [it for it in heads if it.tenant == office.tenant]
    assert [it.size for it in ours] == sorted({it.size for it in ours})
    office.delete(f"/api/clients/{client['id']}")
    text = exported(house, office)
    assert Exported(io.BytesIO(text)).verify(ours).facts > ours[-1].size
    kept = b"".join(text.splitlines(keepends=True)[: ours[-1].size])
    with pytest.raises(Broken, match="are here"):
        Exported(io.BytesIO(kept)).verify(ours)


def test_nothing_is_signed_again_where_nothing_happened(
    house: Any, office: Any, tmp_path: Path
) -> None:
    url = conninfo(house.database_url, WORK_ROLE, application="witness test")
    witness = Witness(url, tmp_path / "heads", Keyring(*house.settings.secret_keys), house.clock)
    office.made("/api/clients", {"name": "Acme"})
    witness.sign()
    (file,) = (tmp_path / "heads").iterdir()
    signed = read_heads(file.read_bytes().splitlines())
    witness.sign()  # of others, perhaps, whose facts came between
    again = read_heads(file.read_bytes().splitlines())[len(signed) :]
    assert office.tenant not in {it.head.tenant for it in again}
