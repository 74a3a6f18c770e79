"""Search: rows ranked by how well some of their columns answer a question."""

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import Column, ColumnElement, Select, case, func, literal, or_

from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.reader import Reader

CONTAINED = 0.6  # the score of a field that holds the question word for word, at least
WITHIN = 0.8  # the score of a code that holds the question's
SNIPPET = 120  # characters

Way = Literal["exact", "alike", "within"]


class Field(Value):
    """A column a question may be answered by, and the question as that column writes it.

    `exact`: it is the question, but for case, and ranks first. `alike`: words resemble it
    (trigrams), or it holds the question. `within`: a code that holds it. A column may be given
    twice, in two ways.
    """

    name: str
    column: Column[Any]
    asked: str
    way: Way = "alike"
    shown: Column[Any] | None = None  # what a snippet is cut from; else the column


class Found(Value):
    row: tuple[Any, ...]  # the statement's columns
    score: float  # 1 for an exact answer, else above 0 and below 1
    field: str  # the name of the field that answered best
    snippet: str


def ranked(
    reader: Reader, statement: Select[Any], fields: Sequence[Field], *, key: Column[Any], limit: int
) -> list[Found]:
    """The rows that answer a question, best first; of equals the greatest key first.

    This is the one place that knows how a search ranks. GIN indexes with `gin_trgm_ops` on the
    columns asked `alike` or `within`, and B-trees on `lower(column)` of exact ones, keep it fast.
    """
    scores = [_score(it) for it in fields]
    best = func.greatest(*scores) if len(scores) > 1 else scores[0]
    wanted = (
        statement.add_columns(
            *scores, *(it.column if it.shown is None else it.shown for it in fields)
        )
        .where(or_(*(_answers(it) for it in fields)))
        .order_by(best.desc(), key.desc())
        .limit(limit)
    )
    many = len(fields)
    found = []
    for row in reader.rows(wanted):
        own, told, texts = row[: -2 * many], row[-2 * many : -many], row[-many:]
        score = max(told)
        at = told.index(score)
        snippet = _snippet(texts[at] or "", fields[at].asked)
        found.append(Found(own, round(score, 4), fields[at].name, snippet))
    return found


def _answers(it: Field) -> ColumnElement[bool]:
    if it.way == "exact":
        return _equals(it)
    holds = it.column.icontains(it.asked, autoescape=True)
    return holds if it.way == "within" else or_(holds, _resembles(it))


def _score(it: Field) -> ColumnElement[Any]:
    if it.way == "exact":
        return case((_equals(it), literal(1.0)), else_=literal(0.0))
    holds = it.column.icontains(it.asked, autoescape=True)
    if it.way == "within":
        return case((holds, literal(WITHIN)), else_=literal(0.0))
    words = func.word_similarity(it.asked, it.column)
    whole = func.similarity(it.asked, it.column)
    likeness = words * 0.9 + whole * 0.09  # below 1, which only an exact answer has
    return case(
        (holds, func.greatest(likeness, literal(CONTAINED))),
        (_resembles(it), likeness),
        else_=literal(0.0),
    )


def _equals(it: Field) -> ColumnElement[bool]:
    return func.lower(it.column) == func.lower(it.asked)


def _resembles(it: Field) -> ColumnElement[bool]:
    return literal(it.asked).op("<%", is_comparison=True)(it.column)


def _snippet(text: str, asked: str) -> str:
    """The part of a text around what was asked for, in one line."""
    line = " ".join(text.split())
    if len(line) <= SNIPPET:
        return line
    at = max(line.lower().find(asked.lower()), 0)
    first = max(0, min(at - SNIPPET // 3, len(line) - SNIPPET))
    last = first + SNIPPET
    return f"{'…' if first else ''}{line[first:last]}{'…' if last < len(line) else ''}"
