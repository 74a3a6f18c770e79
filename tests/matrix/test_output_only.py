"""Fields that only we write: sent in a body, each is bad input and nothing is written."""

from typing import Any

import psycopg
from body_fields import names

OURS = {
    "id", "tenant_id", "user_id", "version", "created_at", "updated_at", "created_by", "deleted",
    "permissions", "is_admin",
}  # fmt: skip


def test_no_body_takes_a_field_that_only_we_write(
    operations: list[Any], examples: Any, asked: Any
) -> None:
    """T5: what the answer shows and the body does not know, and what is ours everywhere."""
    house, owner = asked.principals.house, asked.principals.owner.http
    tried: dict[str, int] = {}
    for operation in operations:
        data = operation.handler.parsed_data_field
        if data is None or " " in operation.name:
            continue
        example = examples[operation.name](asked)
        answered = names(operation.handler.parsed_return_field.annotation)
        before = head(house)
        for name in sorted((answered | OURS) - names(data.annotation)):
            body = {**(example.json or {}), name: "1"}
            answer = owner.request(operation.method, operation.path.format(**example.path),
                                   json=body)  # fmt: skip
            assert answer.status_code == 400, (operation.row, name, answer.text)
            assert answer.json()["errors"][0]["pointer"] == f"/{name}", (operation.row, name)
            tried[operation.name] = tried.get(operation.name, 0) + 1
        assert head(house) == before, operation.row
    assert len(tried) > 30
    assert min(tried.values()) >= 5


def head(house: Any) -> int:
    """The journal's last position."""
    with psycopg.connect(house.database_url, autocommit=True) as connection:
        row = connection.execute("SELECT coalesce(max(position), 0) FROM facts").fetchone()
    assert row is not None
    position: int = row[0]
    return position
