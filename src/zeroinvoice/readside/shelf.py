"""Shelves: read tables in memory alone, for a fold that nothing is to be written of."""

from typing import Any

from sqlalchemy import Table

from zeroinvoice.readside.rows import Many, Row, Rows, many


class Shelf(Rows):
    """One table as `project` sees it, empty at first and never written anywhere."""

    def __init__(self, table: Table) -> None:
        super().__init__(table, "memory")

    @property
    def rows(self) -> dict[Any, Row]:
        """Every row that is there now, by its id."""
        return {id: row for id, row in self._cache.items() if row is not None}

    def flush(self, held: int = 0) -> None:
        return

    def where(self, **equal: Any) -> "Many":
        return _Found(self, equal)

    def _load(self, ids: list[Any]) -> None:
        self._cache.update(dict.fromkeys(ids))


class _Found(Many):
    """Rows of a shelf by what their columns hold."""

    def __init__(self, shelf: Shelf, equal: dict[str, Any]) -> None:
        wanted = {name: many(value) for name, value in equal.items()}
        self._found = [
            row
            for row in shelf.rows.values()
            if all(row[name] in values for name, values in wanted.items())
        ]

    def count(self) -> int:
        return len(self._found)

    def set(self, **values: Any) -> None:
        for row in self._found:
            row.update(values)
