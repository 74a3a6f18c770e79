"""Bad input is a clear 400 or 415 with a pointer, and nothing is written."""

from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroinvoice.http.bodies import decoded, parse
from zeroinvoice.kernel.money import Exact
from zeroinvoice.kernel.refusals import BadInput


class Priced(msgspec.Struct, forbid_unknown_fields=True):
    price: Exact
    note: str = ""


ZOO = [
    "1E+3000000", "1e5", "NaN", "sNaN", "Infinity", "-Infinity", "1_000", " 1 ", "١٢", "４９",
    "0x10", "1,5", "", "--1", "1.", ".5", "1.1234567", "1234567890123456", "+1",
]  # fmt: skip


class Chosen(msgspec.Struct):
    kind: Literal["iban", "uk"]


def test_a_word_in_the_wrong_field_is_not_said_again() -> None:
    """T32: it may be a number or a password."""
    with pytest.raises(BadInput) as refused:
        decoded(b'{"kind": "DE89370400440532013000"}', Chosen)
    assert refused.value.pointer == "/kind"
    assert "DE89" not in refused.value.message


@pytest.mark.parametrize("text", ZOO)
def test_no_animal_of_the_number_zoo_is_an_amount(text: str) -> None:
    """Reliability 0.7: what `Decimal` would take and people do not write."""
    with pytest.raises(BadInput) as refused:
        decoded(msgspec.json.encode({"price": text}), Priced)
    assert refused.value.pointer == "/price"


@pytest.mark.parametrize("number", ["1e5", "1E400", "NaN", "Infinity", "-Infinity", "1" * 5000])
def test_a_bare_number_beyond_all_use_is_refused(number: str) -> None:
    with pytest.raises(BadInput):
        decoded(f'{{"price": {number}}}'.encode(), Priced)


@pytest.mark.parametrize(("sent", "kept"), [("1.005", "1.005"), ("150.00", "150.00"), ("7", "7")])
def test_a_json_number_keeps_its_text(sent: str, kept: str) -> None:
    """R-MON-1: never through binary float."""
    assert str(decoded(f'{{"price": {sent}}}'.encode(), Priced).price) == kept


@pytest.mark.parametrize(
    "body",
    [
        b'{"price": 1, "price": 2}',
        b'{"price": "1", "note": "\\ud800"}',
        b'{"price": "1", "note": "a\\u0000b"}',
        b'{"price": "1", "note": "\xff"}',
        b'\xef\xbb\xbf{"price": "1"}',
        b'{"price": "1"} x',
        b'{"price": "1"',
        b"",
        b"null",
        b"[" * 100 + b"]" * 100,
        b'{"price":' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}",
        b'{"price": "1", "extra": 1}',
        b'{"note": "no price"}',
        b'{"price": true}',
        b'{"price": ["1"]}',
        b'{"price": "1", "note": "' + b"x" * 10_001 + b'"}',
    ],
)
def test_a_malformed_body_is_bad_input(body: bytes) -> None:
    """Status contract 2.0: 400 for all of these, and never a 500."""
    with pytest.raises(BadInput):
        decoded(body, Priced)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        parse(body)
    except BadInput:
        return


NAMES = st.text(st.characters(codec="ascii", exclude_characters="\x00"), max_size=5)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1)
        | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
        | st.decimals(allow_nan=False, allow_infinity=False, places=4, max_value=10**9),
        lambda inner: st.lists(inner, max_size=4)
        | st.dictionaries(NAMES, inner, max_size=4),
        max_leaves=12,
    )
)  # fmt: skip
def test_sound_json_is_read_as_what_it_says(value: Any) -> None:
    text = msgspec.json.encode(value, enc_hook=str)
    assert msgspec.json.encode(parse(text), enc_hook=str) == text


def facts_of(office: Any) -> int:
    with office.house.parts.journal._recorder.datastore.get_connection() as connection:
        row = connection.execute(
            "SELECT count(*) FROM facts WHERE tenant_id = %s", [office.tenant]
        ).fetchone()
    return int(row[0])


PATHS = [("POST", "/api/invoices"), ("POST", "/api/clients"), ("POST", "/api/payments"),
         ("PATCH", "/api/workspace"), ("POST", "/api/workspace/tax-codes")]  # fmt: skip
BODIES = [
    b'{"a": 1, "a": 2}', b"\xff", b"[1]", b"{", b'{"surprise": 1}', b"[" * 60 + b"]" * 60,
    b'{"name": "a\\u0000b"}', b'{"name": 1e999}', b"nonsense",
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_no_write_takes_a_malformed_body(office: Any, method: str, path: str) -> None:
    before = facts_of(office)
    for body in BODIES:
        headers = {"Content-Type": "application/json"}
        answer = office.http.request(method, path, content=body, headers=headers)
        assert answer.status_code == 400, (body, answer.text)
        assert answer.headers["content-type"].startswith("application/problem+json")
        problem = answer.json()
        assert problem["code"]
        assert problem["errors"]
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "text/json"):
        answer = office.http.request(
            method, path, content=b'{"name": "x"}', headers={"Content-Type": content_type}
        )
        assert answer.status_code == 415, answer.text
    large = b'{"name": "' + b"x" * 1_100_000 + b'"}'
    answer = office.http.request(
        method, path, content=large, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413, answer.text
    assert facts_of(office) == before


def test_every_answer_has_its_security_headers(office: Any) -> None:
    """T33: also errors."""
    for path in ("/api/health", "/api/invoices", "/api/nothing", "/", "/docs"):
        headers = office.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert UUID(headers["x-request-id"])


def test_another_tenants_ids_do_not_exist(house: Any, office: Any) -> None:
    """T3, T4: in the path and in the body, like an id that nobody has."""
    mine = office.made("/api/clients", {"name": "Acme Corp"})
    other = house.office()
    before = facts_of(other)
    line = {"description": "x", "unit_price": "1"}
    foreign = other.post("/api/invoices", json={"client_id": mine["id"], "line_items": [line]})
    nobody = other.post("/api/invoices", json={"client_id": str(UUID(int=7)), "line_items": [line]})
    for answer in (foreign, nobody):
        assert answer.status_code == 404
    same = ("type", "title", "status", "code", "detail")
    assert [foreign.json()[name] for name in same] == [nobody.json()[name] for name in same]
    for method, path in (
        ("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/payment-settings"),
        ("GET", "/analytics"),
    ):  # fmt: skip
        path = f"/api/clients/{mine['id']}{path}"
        answer = other.http.request(method, path, json={} if method == "PUT" else None)
        assert answer.status_code == 404, (method, path, answer.text)
    assert facts_of(other) == before


def test_a_decimal_is_answered_with_exactly_its_currencys_digits(office: Any) -> None:
    for currency, shown in (("USD", "10.50"), ("JPY", "11"), ("KWD", "10.500")):
        client = office.made("/api/clients", {"name": currency, "currency": currency})
        line = {"description": "x", "unit_price": Decimal("10.5").__float__()}
        invoice = office.made("/api/invoices", {"client_id": client["id"], "line_items": [line]})
        assert invoice["total"] == shown


@pytest.mark.parametrize("path", ["/api/clients", "/api/simulate"])
def test_a_body_that_is_not_there_is_asked_for(office: Any, path: str) -> None:
    """Not by the name that a handler has for it."""
    answer = office.post(path)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"] == [
        {"pointer": "", "code": "bad_input", "detail": "Send a body."}
    ]
