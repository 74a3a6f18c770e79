"""Who asks: access tokens (RFC 9068), cookies that carry them, refresh tokens, API keys."""

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import jwt
from litestar import Request
from litestar.datastructures import Cookie

from zeroinvoice.domain.api_key import PREFIX, digest, place_of
from zeroinvoice.domain.principal import Asking, Entrant, KeyHolder, Principal
from zeroinvoice.domain.session import HALF_LASTS, IDLE
from zeroinvoice.kernel.clock import Clock
from zeroinvoice.kernel.refusals import Forbidden, Unauthenticated
from zeroinvoice.kernel.secrets import Keyring

COOKIE = "__Host-zeroinvoice"
REFRESH_COOKIE = "__Host-zeroinvoice-refresh"
KEY_HEADER = "x-api-key"
ISSUER = AUDIENCE = "zeroinvoice"
REQUIRED = ["sub", "tid", "sid", "jti", "iat", "exp", "ver", "iss", "aud"]
LONGEST = timedelta(minutes=15)
ACCESS, HALF_WAY = "at+jwt", "mfa+jwt"  # the types of token, each with a key of its own
PURPOSES = {ACCESS: "access-token", HALF_WAY: "mfa-token"}
CACHED = 10_000  # checked tokens kept until they expire
UNSOUND = (
    jwt.InvalidTokenError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
)
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Tokens:
    """Makes and checks access and refresh tokens. No token is ever stored."""

    def __init__(self, keyring: Keyring, clock: Clock, lasts: timedelta = LONGEST) -> None:
        assert lasts <= LONGEST, "an access token lasts at most 15 minutes"
        self._keyring = keyring
        names = [it.hex()[:16] for it in keyring.keys("access-token-name")]
        self._keys = {
            (kind, name): key
            for kind, purpose in PURPOSES.items()
            for name, key in zip(names, keyring.keys(purpose), strict=True)
        }
        self._current = names[0]
        self._clock = clock
        self.lasts = lasts
        self._checked: OrderedDict[str, Principal] = OrderedDict()

    def access(self, user: UUID, tenant: UUID, session: UUID, version: int, now: datetime) -> str:
        """A JWT for one session, as RFC 9068 has it."""
        return self._signed(ACCESS, user, tenant, session, version, now, self.lasts)

    def half_way(self, user: UUID, tenant: UUID, session: UUID, now: datetime) -> str:
        """A JWT with which a second factor can be sent, and nothing else be done."""
        return self._signed(HALF_WAY, user, tenant, session, 0, now, HALF_LASTS)

    def _signed(
        self,
        kind: str,
        user: UUID,
        tenant: UUID,
        session: UUID,
        version: int,
        now: datetime,
        lasts: timedelta,
    ) -> str:
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user),
            "tid": str(tenant),
            "sid": str(session),
            "ver": version,
            "jti": self._keyring.seal("jti", f"{session}.{version}.{now.timestamp()}")[:22],
            "iat": int(now.timestamp()),
            "exp": int((now + lasts).timestamp()),
        }
        headers = {"typ": kind, "kid": self._current}
        key = self._keys[kind, self._current]
        return jwt.encode(claims, key, algorithm="HS256", headers=headers)

    def principal(self, token: str) -> Principal:
        """Whom a token speaks for. Raises `Unauthenticated` for all but a sound, live one."""
        known = self._checked.get(token)
        if known is None:
            known = self._check(token)
            self._checked[token] = known
            if len(self._checked) > CACHED:
                self._checked.popitem(last=False)
        if known.until <= self._clock():
            self._checked.pop(token, None)
            raise Unauthenticated("The access token has expired.", code="token_expired")
        return known

    def _check(self, token: str) -> Principal:
        try:
            header = jwt.get_unverified_header(token)
            kind = header.get("typ")
            if kind not in PURPOSES:
                raise Unauthenticated("This is not an access token.")
            claims = jwt.decode(
                token,
                self._keys[kind, header["kid"]],  # nothing but the name of one of these keys
                algorithms=["HS256"],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": REQUIRED, "verify_exp": False, "verify_iat": False},
            )
            issued, expires = int(claims["iat"]), int(claims["exp"])
            if not 0 < expires - issued <= LONGEST.total_seconds():
                raise Unauthenticated("The access token lasts too long.")
            speaker = Entrant if kind == HALF_WAY else Principal
            return speaker(
                UUID(claims["sub"]),
                UUID(claims["tid"]),
                UUID(claims["sid"]),
                datetime.fromtimestamp(expires, self._clock().tzinfo),
            )
        except UNSOUND:
            raise Unauthenticated("The access token is not valid.") from None

    def refresh(self, tenant: UUID, session: UUID, generation: int) -> str:
        """The refresh token of a session's generation: the same each time it is asked for."""
        text = f"{tenant.hex}.{session.hex}.{generation}"
        return f"{text}.{self._keyring.seal('refresh-token', text)}"

    def read_refresh(self, token: str) -> tuple[UUID, UUID, int]:
        """Tenant, session and generation. Raises `Unauthenticated` when we did not make it."""
        text, _, seal = token.rpartition(".")
        if not self._keyring.holds("refresh-token", text, seal):
            raise Unauthenticated("The refresh token is not valid.")
        tenant, session, generation = text.split(".")
        return UUID(tenant), UUID(session), int(generation)


def authenticate(request: Request[Any, Any, Any], tokens: Tokens) -> Asking:
    """Whom the request's bearer token, API key or cookie speaks for.

    A cookie is sent by any page the browser shows, so with a cookie an unsafe method must
    also come from our own origin. Raises `Unauthenticated`, or `Forbidden` for a foreign origin.
    """
    header, key = request.headers.get("authorization"), request.headers.get(KEY_HEADER)
    if key is not None:
        if header is not None:
            raise Unauthenticated("Send one of Authorization and X-API-Key.")
        return key_holder(key.strip())
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("Send the header Authorization: Bearer <token>.")
        token = token.strip()
        return key_holder(token) if token.startswith(PREFIX) else tokens.principal(token)
    cookie = request.cookies.get(COOKIE)
    if cookie is None:
        raise Unauthenticated("Log in and send the access token.")
    assert_same_site(request)
    return tokens.principal(cookie)


def key_holder(token: str) -> KeyHolder:
    """Who shows an API key; whether it is good, its stream says."""
    tenant, key = place_of(token)
    return KeyHolder(key, tenant, digest(token))


def assert_same_site(request: Request[Any, Any, Any]) -> None:
    """Refuse an unsafe request that a foreign page may have caused. Raises `Forbidden`."""
    if request.method in SAFE:
        return
    origin = request.headers.get("origin")
    if origin is not None:
        own = urlsplit(origin).netloc == request.headers.get("host", "")
    else:
        own = request.headers.get("sec-fetch-site") == "same-origin"
    if not own:
        raise Forbidden("A request with a cookie must come from our own pages.", code="csrf")


def assert_not_foreign(request: Request[Any, Any, Any]) -> None:
    """Refuse a page elsewhere that logs its visitor in here. Raises `Forbidden`.

    Programs that are no browser send neither header, and are let through.
    """
    if request.headers.get("origin") or request.headers.get("sec-fetch-site", "none") != "none":
        assert_same_site(request)


def cookies(access: str, refresh: str, lasts: timedelta) -> list[Cookie]:
    """The two tokens as a browser keeps them, out of reach of any script."""
    return [
        _cookie(COOKIE, access, int(lasts.total_seconds())),
        _cookie(REFRESH_COOKIE, refresh, int(IDLE.total_seconds())),
    ]


def no_cookies() -> list[Cookie]:
    return [_cookie(COOKIE, "", 0), _cookie(REFRESH_COOKIE, "", 0)]


def _cookie(name: str, value: str, seconds: int) -> Cookie:
    # `__Host-` binds them to this very host: no other subdomain can set or shadow them.
    return Cookie(
        name, value=value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax"
    )
