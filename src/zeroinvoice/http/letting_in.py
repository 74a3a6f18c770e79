"""Letting in: the tokens that a login leads to, in the body and as cookies."""

from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

from litestar import Request, Response
from litestar.datastructures import Cookie

from zeroinvoice.domain.access import Caller, Unproved
from zeroinvoice.domain.session import Session
from zeroinvoice.domain.two_factor import FactorKeys
from zeroinvoice.http.auth import cookies
from zeroinvoice.http.parts import Parts
from zeroinvoice.kernel.refusals import Unauthenticated
from zeroinvoice.kernel.value import Value

T = TypeVar("T")


class TokensGiven(Value, kw_only=True):
    """What lets somebody in from now on."""

    access_token: str
    expires_in: int  # seconds
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"


def tokens_of(parts: Parts, session: Session, tenant: UUID, now: datetime) -> TokensGiven:
    return TokensGiven(
        access_token=parts.tokens.access(
            session.user_id, tenant, session.id, session.generation, now
        ),
        expires_in=int(parts.tokens.lasts.total_seconds()),
        refresh_token=parts.tokens.refresh(tenant, session.id, session.generation),
    )


def let_in(tokens: TokensGiven, parts: Parts) -> Response[Any]:
    """An answer with the tokens, for programs and for browsers."""
    return Response(tokens, status_code=200, cookies=kept(tokens, parts))


def kept(tokens: TokensGiven, parts: Parts) -> list[Cookie]:
    return cookies(tokens.access_token, tokens.refresh_token, parts.tokens.lasts)


def caller_of(request: Request[Any, Any, Any], parts: Parts) -> Caller:
    ip = request.client.host if request.client else None
    return Caller.of(ip, request.headers.get("user-agent", ""), parts.keyring)


def factor_keys(parts: Parts, tenant: UUID, user: UUID) -> FactorKeys:
    """What a user's second factor is made from; their key in the vault is made if need be."""
    key = parts.vault.key(tenant, user)
    return FactorKeys(user, key.fingerprint, parts.keyring)


def proved(done: T | Unproved) -> T:
    """What a decision answered. Raises `Unauthenticated` when a password or code was wrong."""
    if isinstance(done, Unproved):
        words = {"password": "The password is wrong.", "code": "The code is wrong, or was used."}
        raise Unauthenticated(words[done.what], code=f"wrong_{done.what}")
    return done
