"""The workspace: settings that hold for later documents, and tax codes."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from zeroinvoice.domain.taxes import Tax
from zeroinvoice.domain.workspace import (
    MOST_TAX_CODES,
    NumberPattern,
    Settings,
    TaxCodeDefined,
    TaxCodeRetired,
    Workspace,
    WorkspaceOpened,
    WorkspaceRevised,
    assert_reason,
)
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import NIL
from zeroinvoice.kernel.refusals import Invalid, Missing, Refused

SETTINGS = Settings("Test")
opened = WorkspaceOpened(NIL, SETTINGS)
VAT = Tax("vat", "VAT", Decimal(19))


def test_a_revision_that_changes_nothing_is_no_event() -> None:
    workspace = Workspace.after(opened)
    assert list(workspace.revise(SETTINGS)) == []
    euro = SETTINGS.but(base_currency="EUR")
    assert list(workspace.revise(euro)) == [WorkspaceRevised(euro)]


def test_a_clients_number_does_not_show_itself() -> None:
    for pattern in ("{CLIENT}-{SEQ}", "{SERIES}{SEQ}"):
        with pytest.raises(Invalid) as no:
            SETTINGS.but(numbers={"client": NumberPattern(pattern, "never")}).check()
        assert no.value.code == "bad_number_pattern"


def test_a_tax_code_is_defined_once_and_replaced_by_name() -> None:
    workspace = Workspace.after(opened)
    assert list(workspace.add_tax(VAT)) == [TaxCodeDefined(VAT)]
    with pytest.raises(Missing):
        list(workspace.replace_tax(VAT))
    workspace = Workspace.after(opened, TaxCodeDefined(VAT))
    with pytest.raises(Refused, match="already"):
        list(workspace.add_tax(VAT))
    assert list(workspace.replace_tax(VAT)) == []
    lower = VAT.but(rate=Decimal(7))
    assert list(workspace.replace_tax(lower)) == [TaxCodeDefined(lower)]
    assert list(workspace.retire_tax("vat")) == [TaxCodeRetired("vat")]


def test_a_replacement_keeps_its_place_and_needs_no_room() -> None:
    taxes = [VAT.but(code=f"t{n}") for n in range(MOST_TAX_CODES)]
    full = Workspace.after(opened, *map(TaxCodeDefined, taxes))
    with pytest.raises(Invalid, match="at most"):
        list(full.add_tax(VAT))
    other = taxes[0].but(name="Other")
    assert list(full.replace_tax(other)) == [TaxCodeDefined(other)]
    assert full.evolve(TaxCodeDefined(other)).taxes[0] == other


ACTS = ("cancel", "credit", "refund", "reopen", "erasure")


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(
    ("wanted", "reason", "given", "refused"),
    [
        ((), None, None, False),
        (ACTS, None, None, True),
        (ACTS, "  ", "", True),
        (ACTS, "why", None, False),
        (ACTS, None, "why", False),
    ],
)
def test_a_reason_is_asked_for_where_the_workspace_wants_one(
    act: str, wanted: tuple[str, ...], reason: str | None, given: str | None, refused: bool
) -> None:
    """A25-10: by one question, which every such decision asks."""
    settings = Settings("Test", reason_required_for=wanted)  # type: ignore[arg-type]
    workspace = Workspace.after(WorkspaceOpened(NIL, settings))
    desk = Desk(NIL, datetime(2026, 1, 1, tzinfo=UTC), lambda *_: workspace, reason=reason)
    if refused:
        with pytest.raises(Invalid) as no:
            assert_reason(desk, act, given)  # type: ignore[arg-type]
        assert (no.value.code, no.value.details) == ("reason_required", {"act": act})
    else:
        assert_reason(desk, act, given)  # type: ignore[arg-type]
