"""As-of reads of every operation: answered for the instant or refused, never overlooked."""

from typing import Any

LONG_AGO = "2000-01-01T00:00:00Z"
BESIDE = ("known_at", "as_of", "position", "from", "to", "date")  # what was asked, not what is told


def test_whatever_is_read_honours_an_instant_or_refuses_it(
    operations: list[Any], asked: Any, examples: dict[str, Any]
) -> None:
    """R-CMD-8: before the workspace there was nothing, so no answer of now will do."""
    owner, seen = asked.principals.owner.http, set()
    assert asked.own.payment_id  # so that there is something to add up
    for operation in operations:
        if operation.method != "GET":
            continue
        example = examples[operation.name](asked)
        path = operation.path.format(**example.path)
        now = owner.get(path, params=example.query)
        then = owner.get(path, params={**example.query, "as_of": LONG_AGO})
        seen.add(operation.handler.opt["as_of"])
        if operation.handler.opt["as_of"] == "never":
            refused = (then.status_code, then.json()["code"], then.json()["errors"][0]["pointer"])
            assert refused == (400, "as_of_not_supported", "?as_of"), operation.row
        elif then.status_code == 200:
            assert now.status_code == 200, operation.row
            assert told(then.json()) != told(now.json()), operation.row
        else:
            assert (then.status_code, then.json()["code"]) == (404, "not_found"), operation.row
    assert seen == {"never", "instant", "day"}


def test_no_read_overlooks_an_instant_that_cannot_be(
    operations: list[Any], asked: Any, examples: dict[str, Any]
) -> None:
    """R-CMD-8: an empty one, two of them, and one that is still to come."""
    owner = asked.principals.owner.http
    for operation in operations:
        if operation.method == "GET":
            example = examples[operation.name](asked)
            path = operation.path.format(**example.path)
            for wrong in ("", "now", "2999-01-01T00:00:00Z", [LONG_AGO, LONG_AGO]):
                answer = owner.get(path, params={**example.query, "as_of": wrong})
                assert answer.status_code == 400, (operation.row, wrong, answer.text)


def test_a_write_takes_no_instant(asked: Any) -> None:
    """R-CMD-8: nothing is done in the past."""
    path = "/api/clients"
    owner = asked.principals.owner.http
    answer = owner.post(path, params={"as_of": LONG_AGO}, json={"name": "Acme"})
    assert (answer.status_code, answer.json()["code"]) == (400, "as_of_not_supported")


def told(body: Any) -> Any:
    return {name: it for name, it in body.items() if name not in BESIDE}
