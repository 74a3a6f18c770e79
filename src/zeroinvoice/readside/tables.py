"""Read tables: declared once in SQLAlchemy Core, kept in a schema of their own a generation."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Index,
    MetaData,
    Select,
    Table,
    Uuid,
    any_,
    literal,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.schema import CreateIndex, CreateTable

DIALECT = postgresql.psycopg.dialect(paramstyle="format")  # type: ignore[no-untyped-call]
metadata = MetaData()

__all__ = ["Column", "Index", "any_of", "compiled", "create", "read_table", "schema_name"]


def read_table(projection: str, name: str, *columns: Any, key: Column[Any] | None = None) -> Table:
    """A table of a projection: `id` (or `key`) and `tenant_id` first, then its columns.

    Its schema is a stand-in; the generation that is served takes its place in every statement.
    """
    return Table(
        name,
        metadata,
        key if key is not None else Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, nullable=False),
        *columns,
        schema=f"live_{projection}",
    )


def schema_name(projection: str, generation: int) -> str:
    return f"{projection}_{generation}"


def projection_of(table: Table) -> str:
    assert table.schema is not None
    return table.schema.removeprefix("live_")


@lru_cache(maxsize=4096)
def _served(text: str, generations: tuple[tuple[str, int], ...]) -> str:
    for projection, generation in generations:
        text = re.sub(rf"\blive_{projection}\b", schema_name(projection, generation), text)
    return text


def served(text: str, generations: dict[str, int]) -> str:
    """The statement with each projection's stand-in schema replaced by the one that is served."""
    return _served(text, tuple(sorted(generations.items())))


class Question(NamedTuple):
    """A statement as psycopg takes it, and the projections whose tables it reads."""

    text: str
    values: list[Any]
    projections: tuple[str, ...]


_cache: dict[Any, tuple[Any, tuple[str, ...]]] = {}


def compiled(statement: Select[Any]) -> Question:
    """What a statement asks. Statements of one shape are compiled once.

    Compare with many values by `any_of`, not `in_`: its text would depend on how many.
    """
    key = statement._generate_cache_key()
    assert key is not None
    known = _cache.get(key.key)
    if known is None:
        made = statement._compiler(DIALECT, cache_key=key, column_keys=[])
        assert "POSTCOMPILE" not in made.string, "compare with many values by any_of"
        known = made, tuple(sorted({projection_of(table) for table in _tables(statement)}))
        if len(_cache) < 2_000:
            _cache[key.key] = known
    form, projections = known
    values = form.construct_params(extracted_parameters=key.bindparams)
    return Question(form.string, [values[name] for name in form.positiontup or ()], projections)


def _tables(statement: Select[Any]) -> Iterator[Table]:
    for source in statement.get_final_froms():
        yield from (element for element in _walk(source) if isinstance(element, Table))


def _walk(source: Any) -> Iterator[Any]:
    yield source
    for child in source.get_children():
        yield from _walk(child)


def any_of(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """Whether a column holds one of some values."""
    return column == any_(literal(list(values), ARRAY(column.type)))


def create(table: Table, schema: str) -> list[str]:
    """DDL of a table in one generation's schema."""
    text = str(CreateTable(table).compile(dialect=DIALECT))
    return [text.replace(str(table.schema), schema)]


def create_indexes(table: Table, schema: str) -> list[str]:
    """DDL of a table's indexes; made after a rebuild has filled it."""
    ordered = sorted(table.indexes, key=lambda index: str(index.name))
    return [
        str(CreateIndex(index).compile(dialect=DIALECT)).replace(str(table.schema), schema)
        for index in ordered
    ]
