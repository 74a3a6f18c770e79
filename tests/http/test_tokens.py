"""Access tokens: every forgery and every misuse of RFC 8725 is a 401."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest

from zeroinvoice.domain.mailbox import reset_token
from zeroinvoice.http.auth import Tokens
from zeroinvoice.kernel.refusals import Unauthenticated
from zeroinvoice.kernel.secrets import Keyring

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
KEYRING = Keyring(b"k" * 32)
KEY = KEYRING.key("access-token")
KID = KEYRING.key("access-token-name").hex()[:16]
FORMER = Keyring(b"f" * 32)
USER, TENANT, SESSION = uuid4(), uuid4(), uuid4()


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(KEYRING, lambda: NOW)


def sound(tokens: Tokens) -> str:
    return tokens.access(USER, TENANT, SESSION, 1, NOW)


def claims(**changes: Any) -> dict[str, Any]:
    """What a sound token says, with some claims changed; None leaves one out."""
    given: dict[str, Any] = {
        "iss": "zeroinvoice",
        "aud": "zeroinvoice",
        "sub": str(USER),
        "tid": str(TENANT),
        "sid": str(SESSION),
        "ver": 1,
        "jti": "x",
        "iat": int(NOW.timestamp()),
        "exp": int((NOW + timedelta(minutes=15)).timestamp()),
    }
    return {name: value for name, value in {**given, **changes}.items() if value is not None}


def signed(said: dict[str, Any], *, key: bytes = KEY, **header: Any) -> str:
    return jwt.encode(said, key, "HS256", headers={"typ": "at+jwt", "kid": KID, **header})


def unsigned(said: dict[str, Any], header: dict[str, Any], signature: str = "") -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part(header)}.{part(said)}.{signature}"


def test_a_sound_token_speaks_for_its_user(tokens: Tokens) -> None:
    for token in sound(tokens), signed(claims()):
        principal = tokens.principal(token)
        assert (principal.user, principal.tenant, principal.session) == (USER, TENANT, SESSION)


ALIEN = int(NOW.timestamp())
FORGED = {
    "alg none": unsigned(claims(), {"alg": "none", "typ": "at+jwt", "kid": KID}),
    "alg None": unsigned(claims(), {"alg": "None", "typ": "at+jwt", "kid": KID}),
    "no alg": unsigned(claims(), {"typ": "at+jwt", "kid": KID}),
    "alg RS256": unsigned(claims(), {"alg": "RS256", "typ": "at+jwt", "kid": KID}, "AAAA"),
    "alg HS512": jwt.encode(claims(), KEY * 2, "HS512", headers={"typ": "at+jwt", "kid": KID}),
    "another key": signed(claims(), key=b"x" * 32),
    "an empty key": signed(claims(), key=b"\0" * 32, kid="../../dev/null"),
    "no kid": jwt.encode(claims(), KEY, "HS256", headers={"typ": "at+jwt"}),
    "an unknown kid": signed(claims(), kid="0" * 16),
    "the kid of another key": signed(claims(), key=FORMER.key("access-token")),
    "an empty kid": signed(claims(), kid=""),
    "kid with a path to our key": signed(claims(), kid=f"./{KID}"),
    "kid with our key and SQL": signed(claims(), kid=f"{KID}' OR '1'='1"),
    "kid a list": unsigned(claims(), {"alg": "HS256", "typ": "at+jwt", "kid": [KID]}, "AAAA"),
    "kid an object": unsigned(claims(), {"alg": "HS256", "typ": "at+jwt", "kid": {KID: 1}}, "AAAA"),
    "a former key": Tokens(FORMER, lambda: NOW).access(USER, TENANT, SESSION, 1, NOW),
    "a reset token": reset_token(KEYRING, USER, 1),
    "kid with a path": signed(claims(), key=b"x" * 32, kid="/etc/hostname"),
    "kid with SQL": signed(claims(), key=b"x" * 32, kid="x' UNION SELECT 'x"),
    "jku": signed(claims(), key=b"x" * 32, jku="https://evil.example/keys"),
    "jwk": signed(claims(), key=b"x" * 32, jwk={"kty": "oct", "k": "eHh4"}),
    "crit": signed(claims(), crit=["exp"]),
    "typ JWT": signed(claims(), typ="JWT"),
    "no typ": unsigned(claims(), {"alg": "HS256", "kid": KID}, "AAAA"),
    "another audience": signed(claims(aud="portal")),
    "another issuer": signed(claims(iss="https://evil.example")),
    "exp 1e308": signed(claims(exp=1e308)),
    "exp far away": signed(claims(exp=ALIEN + 10**6)),
    "exp before iat": signed(claims(exp=ALIEN - 1)),
    "exp as text": signed(claims(exp="never")),
    "sub no id": signed(claims(sub="admin")),
    "sub a number": unsigned(claims(sub=7), {"alg": "HS256", "typ": "at+jwt", "kid": KID}, "AAAA"),
    "tid a list": signed(claims(tid=[str(TENANT)])),
    "nothing": "",
    "words": "Bearer Bearer Bearer",
    "dots": "." * 300,
    "not ASCII": "é.é.é",
    "a refresh token": Tokens(KEYRING, lambda: NOW).refresh(TENANT, SESSION, 1),
} | {
    f"no {name}": signed(claims(**{name: None}))
    for name in ("sub", "tid", "sid", "jti", "iat", "exp", "ver", "iss", "aud")
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_speaks_for_nobody(tokens: Tokens, forged: str) -> None:
    """T14."""
    with pytest.raises(Unauthenticated):
        tokens.principal(forged)


def test_a_token_expires_even_when_it_is_remembered() -> None:
    """T14: the cache of checked tokens forgets in time."""
    now = [NOW]
    tokens = Tokens(KEYRING, lambda: now[0])
    token = sound(tokens)
    tokens.principal(token)
    now[0] = NOW + timedelta(minutes=15)
    for _ in range(2):
        with pytest.raises(Unauthenticated) as refused:
            tokens.principal(token)
        assert refused.value.code == "token_expired"


@pytest.mark.parametrize("n", range(0, 300, 13))
def test_a_token_with_any_character_changed_is_no_token(tokens: Tokens, n: int) -> None:
    token = sound(tokens)
    n %= len(token) - 1  # the last character has bits that carry nothing
    changed = token[:n] + ("A" if token[n] != "A" else "B") + token[n + 1 :]
    with pytest.raises(Unauthenticated):
        tokens.principal(changed)


def test_during_a_rotation_both_keys_are_known_and_the_first_one_signs() -> None:
    """T45: a token is checked by the key it names; without the old key it is none."""
    old, both, new = (
        Tokens(it, lambda: NOW)
        for it in (FORMER, Keyring(b"k" * 32, b"f" * 32), Keyring(b"k" * 32))
    )
    issued, renewed = sound(old), sound(both)
    assert old.read_refresh(old.refresh(TENANT, SESSION, 3)) == (TENANT, SESSION, 3)
    for known in both, new:
        assert known.principal(renewed).user == USER
        assert known.read_refresh(both.refresh(TENANT, SESSION, 3)) == (TENANT, SESSION, 3)
    assert both.principal(issued).user == USER
    assert both.read_refresh(old.refresh(TENANT, SESSION, 3)) == (TENANT, SESSION, 3)
    for ask in (
        lambda: new.principal(issued),
        lambda: old.principal(renewed),
        lambda: new.read_refresh(old.refresh(TENANT, SESSION, 3)),
    ):
        with pytest.raises(Unauthenticated):
            ask()
