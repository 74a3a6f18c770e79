"""House rules that no linter knows: each test says why in its docstring."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from zeroinvoice.app import create_app
from zeroinvoice.catalogue import catalogue
from zeroinvoice.domain import EVENTS, KINDS
from zeroinvoice.kernel.facts import events_of
from zeroinvoice.settings import Settings

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for folder in ("src", "commands", "projections") for path in (ROOT / folder).rglob("*.py")
)
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def test_no_file_is_longer_than_500_lines() -> None:
    """A longer one hides a noun that wants a file of its own."""
    long = [path.name for path in SOURCES + TESTS if path.read_text().count("\n") > 500]
    assert not long


def calls(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def test_only_the_clock_reads_the_time() -> None:
    """A decision or a fold that looks at the time gives another answer when it is run again."""
    readers = {"datetime.now", "datetime.utcnow", "date.today", "time.time"}
    for path in SOURCES:
        if path.name not in ("clock.py", "demo.py"):
            assert not calls(path) & readers, path


def test_only_the_settings_read_the_environment() -> None:
    """What an operator can set is in one place."""
    for path in SOURCES:
        if path.name != "settings.py":
            assert "os.environ" not in path.read_text(), path
            assert "getenv" not in path.read_text(), path


def test_no_amount_passes_through_a_binary_float() -> None:
    """R-MON-1: floats cannot hold cents. A score is not an amount."""
    for path in SOURCES:
        if path.parts[-2] in ("domain", "kernel"):
            assert not calls(path) & {"float"}, path


def test_tests_have_no_packages() -> None:
    """pytest imports them by path; a package would shadow another of its name."""
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_every_event_belongs_to_one_kind_of_stream_and_is_in_the_past_tense() -> None:
    """The class name is what is stored, so two kinds cannot share one."""
    assert len({event.__name__ for event in EVENTS}) == sum(
        len(events_of(kind)) for kind in KINDS.values()
    )
    for event in EVENTS:
        assert not re.search(r"(Changed|Updated|Event)$", event.__name__), event
        assert re.search(
            r"(ed|Sent|Again|Off|In|Out|Taken|Chosen|Reset|Undone|Read)$", event.__name__
        )


def test_the_catalogue_of_events_is_fresh() -> None:
    """`make events` writes it."""
    assert (ROOT / "docs" / "events.md").read_text() == catalogue()


SERVED = """
POST /api/auth/register|POST /api/auth/login|POST /api/auth/logout|POST /api/auth/refresh
GET /api/auth/me|POST /api/auth/request-password-reset|POST /api/auth/reset-password
POST /api/auth/forgot-password|GET /api/auth/ainative/authorize|GET /api/auth/ainative/callback
POST /api/auth/2fa/setup|POST /api/auth/2fa/verify|POST /api/auth/2fa/disable
POST /api/auth/2fa/backup-codes|POST /api/auth/2fa/verify-backup|POST /api/auth/confirm
GET /api/clients|POST /api/clients|GET /api/clients/{client_id}|PUT /api/clients/{client_id}
DELETE /api/clients/{client_id}|GET /api/clients/search|POST /api/clients/merge
POST /api/clients/merge/undo|GET /api/clients/{client_id}/merge-history
GET /api/clients/{client_id}/payment-settings|PATCH /api/clients/{client_id}/payment-settings
GET /api/clients/{client_id}/analytics|POST /api/clients/{client_id}/erase
GET /api/invoices|POST /api/invoices|GET /api/invoices/{invoice_id}|PUT /api/invoices/{invoice_id}
DELETE /api/invoices/{invoice_id}|PATCH /api/invoices/{invoice_id}/status
GET /api/invoices/search|GET /api/invoices/client/{client_id}|GET /api/invoices/overdue
GET /api/payments|POST /api/payments|GET /api/payments/{payment_id}|PUT /api/payments/{payment_id}
DELETE /api/payments/{payment_id}|GET /api/payments/search
GET /api/payments/invoice/{invoice_id}|GET /api/payments/client/{client_id}
GET /api/payments/invoice/{invoice_id}/total|GET /api/payments/summary
POST /api/customers/{client_id}/contacts|GET /api/customers/{client_id}/contacts
GET /api/customers/{client_id}/contacts/{contact_id}
PUT /api/customers/{client_id}/contacts/{contact_id}
DELETE /api/customers/{client_id}/contacts/{contact_id}
PATCH /api/customers/{client_id}/contacts/{contact_id}/primary
POST /api/customers/{client_id}/bank-accounts|GET /api/customers/{client_id}/bank-accounts
PATCH /api/customers/{client_id}/bank-accounts/{account_id}
DELETE /api/customers/{client_id}/bank-accounts/{account_id}
GET /api/customers/{client_id}/credits|POST /api/customers/{client_id}/credits
GET /api/customers/{client_id}/credits/{credit_id}
POST /api/customers/{client_id}/credits/{credit_id}/apply
POST /api/customers/{client_id}/credits/{credit_id}/refund
GET /api/customers/{client_id}/credits/balance/total
GET /api/customers/{client_id}/receivables
GET /api/audit/proofs/head|GET /api/audit/proofs/inclusion|GET /api/audit/proofs/growth
GET /api/audit/logs|GET /api/audit/resource/{resource_type}/{resource_id}/history
GET /api/activity|GET /api/activity/ws-stats
POST /api/activity/track/invoice-created|POST /api/activity/track/payment-received
PUT /api/activity/marker
GET /api/audit/search|GET /api/audit/user/{user_id}/activity|GET /api/audit/statistics
GET /api/audit/my-activity|GET /api/audit/compliance-report
POST /api/simulate
GET /api/health|GET /api/workspace|PATCH /api/workspace
GET /api/workspace/tax-codes|POST /api/workspace/tax-codes
GET /api/workspace/members|POST /api/workspace/members
PATCH /api/workspace/members/{member_id}|DELETE /api/workspace/members/{member_id}
GET /api/workspace/api-keys|POST /api/workspace/api-keys
DELETE /api/workspace/api-keys/{key_id}|POST /api/auth/accept-invitation
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    settings = Settings.from_env({"ZEROINVOICE_DATA": str(tmp_path_factory.mktemp("data"))})
    edge = create_app(settings, "postgresql://nowhere/nothing")
    app = edge._app  # type: ignore[attr-defined]  # the application inside its edge
    return {
        f"{method} {route.path_format}"
        for route in app.routes
        for method in getattr(route, "methods", ())
    }


def test_every_documented_route_is_served(served: set[str]) -> None:
    """The API document's rows for the areas that are built."""
    documented = {row.strip() for row in SERVED.replace("\n", "|").split("|") if row.strip()}
    assert not documented - served


def test_nothing_committed_names_a_place_outside() -> None:
    """The project speaks of itself alone: no registry, no path of somebody's machine."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.split():
        path = ROOT / name
        if path.suffix in (".py", ".md", ".txt", ".toml", ".yaml", "") and path.is_file():
            text = path.read_text()
            for outside in (
                " --index" + "-url",
                "extra-" + "index-url",
                "pypi" + ".org",
                "/site-" + "packages/",
            ):
                assert outside not in text, (name, outside)
