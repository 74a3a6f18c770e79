"""The matrix: every operation, asked for by everybody, against the table that is kept here."""

import difflib
from pathlib import Path
from typing import Any

import pytest
from principals import COLUMNS

TABLE = Path(__file__).parent / "expected.txt"
HEAD = """\
# Who may do what: a line an operation, a column a principal.
# ok: it is done, or a rule of the business stands against it; 401: nobody knows who asks;
# 403: not theirs to do; 404: not there for another workspace; 503: not set up here.
# key-: an API key of all permissions but what this asks for; key+: one of all that keys can have.
# half: the password was right, and the second factor is still to come.
"""
BUSINESS = {409, 410, 412, 422}  # who is told this was let in


def written(rows: dict[str, list[str]]) -> str:
    """The table as text."""
    widest = max(map(len, rows)) + 2
    lines = [("operation", list(COLUMNS)), *rows.items()]
    return HEAD + "".join(
        f"{name:<{widest}}" + "".join(f"{cell:<11}" for cell in cells).rstrip() + "\n"
        for name, cells in lines
    )


def test_everybody_may_do_what_the_table_says_and_nothing_else(
    operations: list[Any], asked: Any, examples: dict[str, Any]
) -> None:
    """T3: an operation that the table lacks fails, and so does a line too many."""
    rows: dict[str, list[str]] = {}
    for operation in sorted(operations, key=when):
        assert operation.name in examples, f"{operation.row} has no example"
        rows[operation.row] = [cell(operation, column, asked, examples) for column in COLUMNS]
    found = written({it.row: rows[it.row] for it in operations})
    assert_same(TABLE.read_text(), found)


def test_a_line_too_many_or_too_few_is_noticed() -> None:
    """T3: the comparison itself can fail, in both directions and in a single cell."""
    kept = TABLE.read_text()
    lines = kept.splitlines(keepends=True)
    one = next(it for it in lines if it.startswith("GET /api/invoices "))
    assert_same(kept, kept)
    for other in ("".join(it for it in lines if it != one), kept + one,
                  kept.replace(one, one.replace("403", "ok ", 1))):  # fmt: skip
        for expected, found in ((kept, other), (other, kept)):
            with pytest.raises(AssertionError, match="GET /api/invoices "):
                assert_same(expected, found)


def assert_same(expected: str, found: str) -> None:
    lines = (expected.splitlines(), found.splitlines())
    differs = difflib.unified_diff(*lines, "expected.txt", "as it is", n=0, lineterm="")
    assert "\n".join(differs) == ""


def when(operation: Any) -> tuple[bool, bool, str]:
    """Reads first, since they wait for what was written; what ends a session comes last."""
    return operation.name == "auth.logout", operation.method != "GET", operation.row


def cell(operation: Any, column: str, asked: Any, examples: dict[str, Any]) -> str:
    http = asked.principals.speaking(column, operation.needed)
    answer = operation.send(http, examples[operation.name](asked))
    status = answer.status_code
    assert status < 500 or status == 503, (operation.row, column, answer.text)
    assert status not in (400, 405, 413, 415, 429), (operation.row, column, answer.text)
    return "ok" if answer.is_success or status in BUSINESS else str(status)
