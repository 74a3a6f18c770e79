"""Access: register or join, log in and out, renew a session, set a forgotten password anew."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import anyio.to_thread
from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Reference,
    RequestBody,
    Schema,
)
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType

from projections.auth import Me
from zeroinvoice.domain import access, inviting
from zeroinvoice.domain.access import Registration, Unproved
from zeroinvoice.domain.inviting import Acceptance
from zeroinvoice.domain.mailbox import Mailbox, address_taken, mailbox_id, read_reset_token
from zeroinvoice.domain.membership import read_invitation_token
from zeroinvoice.domain.passwords import LARGEST, check_strength
from zeroinvoice.domain.principal import Principal
from zeroinvoice.domain.session import HALF_LASTS, Session
from zeroinvoice.domain.two_factor import Proof
from zeroinvoice.domain.user import User, check_email
from zeroinvoice.domain.workspace import Seller, Settings, Workspace
from zeroinvoice.http.auth import (
    REFRESH_COOKIE,
    assert_not_foreign,
    assert_same_site,
    no_cookies,
)
from zeroinvoice.http.forms import MULTIPART, URL_ENCODED, form
from zeroinvoice.http.letting_in import (
    TokensGiven,
    caller_of,
    factor_keys,
    kept,
    let_in,
    proved,
    tokens_of,
)
from zeroinvoice.http.parts import Parts, Sharing, idempotency_secret
from zeroinvoice.http.routes import ANYBODY, get, post
from zeroinvoice.http.writing import Writer, Writing
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import HOUSE
from zeroinvoice.kernel.refusals import Unauthenticated, Unavailable
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.reader import Reader

T = TypeVar("T")

Anyone = NamedDependency[Writer]
HttpRequest = Request[Any, Any, Any]
Email = Annotated[str, Meta(min_length=1, max_length=254)]
Password = Annotated[str, Meta(min_length=1, max_length=LARGEST)]
Token = Annotated[str, Meta(max_length=500)]


class RegisterUser(Value, kw_only=True, forbid_unknown_fields=True):
    """A person and the business they open a workspace for."""

    email: Email
    password: Password
    full_name: Annotated[str, Meta(min_length=1, max_length=200)]
    company_name: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    base_currency: str = "USD"  # ISO 4217
    time_zone: str = "UTC"  # IANA
    fiscal_year_start: int = 1  # month, 1 to 12
    locale: Annotated[str, Meta(pattern="^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}$")] = "en"
    auto_login: bool = False

    def workspace(self) -> Settings:
        return Settings(
            name=self.company_name or self.full_name.strip(),
            seller=Seller(legal_name=self.company_name),
            base_currency=self.base_currency,
            time_zone=self.time_zone,
            language=self.locale,
            fiscal_year_start=self.fiscal_year_start,
        )


class LogIn(Value, kw_only=True):
    """The password grant of OAuth 2.0 (RFC 6749, 4.3).

    `scope` has no effect: a user may do all that is theirs. `otp` is the code of a second
    factor, where one is on.
    """

    username: Email
    password: Password
    grant_type: Literal["password", ""] = "password"
    scope: str = ""
    otp: Annotated[str, Meta(pattern="^([0-9]{6})?$", max_length=6)] = ""


class RenewSession(Value, kw_only=True, forbid_unknown_fields=True):
    refresh_token: Token


class AskReset(Value, kw_only=True, forbid_unknown_fields=True):
    email: Email


class ResetPassword(Value, kw_only=True, forbid_unknown_fields=True):
    token: Token
    new_password: Password


class AcceptInvitation(Value, kw_only=True, forbid_unknown_fields=True):
    """Who accepts, with the token from the letter; the address is the one it went to."""

    token: Token
    full_name: Annotated[str, Meta(min_length=1, max_length=200)]
    password: Password


class SecondFactorAwaited(Value):
    """The password was right; send a code with the `mfa_token` to be let in."""

    mfa_token: str
    expires_in: int  # seconds
    methods: tuple[Literal["totp", "backup_code"], ...] = ("totp", "backup_code")
    mfa_required: Literal[True] = True


class Registered(Me, kw_only=True):
    """The new user; with tokens if `auto_login` asked for them."""

    access_token: str | UnsetType = UNSET
    token_type: str | UnsetType = UNSET
    expires_in: int | UnsetType = UNSET
    refresh_token: str | UnsetType = UNSET


class Said(Value):
    detail: str


@dataclass
class FormOperation(Operation):
    """Tells of a body in either of two encodings, which one parameter cannot."""

    def __post_init__(self) -> None:
        words = Schema(type=OpenAPIType.STRING, max_length=254)
        secret = Schema(type=OpenAPIType.STRING, max_length=LARGEST)
        optional = Schema(type=OpenAPIType.STRING)
        fields: dict[str, Reference | Schema] = {
            "username": words,
            "password": secret,
            "scope": optional,
            "otp": optional,
        }
        schema = Schema(
            type=OpenAPIType.OBJECT, properties=fields, required=["username", "password"]
        )
        self.request_body = RequestBody(
            content={kind: OpenAPIMediaType(schema=schema) for kind in (URL_ENCODED, MULTIPART)},
            required=True,
        )


@post("/auth/register", may=ANYBODY, guess="register")
async def register(
    data: JSONBody[RegisterUser], request: HttpRequest, anyone: Anyone, parts: Sharing
) -> Response[Registered]:
    """Register a user and open their workspace."""
    assert_not_foreign(request)
    check_email(data.email.strip())
    check_strength(data.password)
    workspace = data.workspace()
    workspace.check()
    hashed = await parts.passwords.hash(data.password)
    asked = Registration(
        data.email, data.full_name, hashed, data.locale, workspace, data.auto_login
    )
    done = await anyone.commit(
        lambda desk: (access.register(desk, asked, caller_of(request, parts)), desk.now),
        wants=[(Mailbox, mailbox_id(data.email))],
        bound=idempotency_secret(parts),
    )
    return _registered(*done, parts)


@post("/auth/login", may=ANYBODY, guess="login", status_code=200, operation_class=FormOperation)
async def login(
    request: HttpRequest, anyone: Anyone, parts: Sharing
) -> Response[TokensGiven | SecondFactorAwaited]:
    """Log in with an e-mail address and a password.

    Where a second factor is on, the answer is an `mfa_token`, unless its code came as `otp`.
    """
    assert_not_foreign(request)
    data, caller = await form(request, LogIn), caller_of(request, parts)
    mailbox = mailbox_id(data.username)
    user, tenant = await _read(parts, lambda it: access.known(it, mailbox, caller))
    matched = await parts.passwords.matched(data.password, user.password_hash)
    proof = await _proof(parts, tenant, user.id, data.otp) if matched and data.otp else None
    done, now = await anyone.commit(
        lambda desk: (access.log_in(desk, mailbox, matched, caller, proof), desk.now),
        wants=[(Mailbox, mailbox)],
        bound=idempotency_secret(parts),
    )
    return _logged_in(done, now, parts)


LOGGED_OUT = {204: ResponseSpec(None, description="The session ended")}


@post("/auth/logout", may="logout", status_code=204, responses=LOGGED_OUT)
async def logout(writer: Writing) -> Response[None]:
    """Log out: the session ends at once, and every token of it.

    With an `mfa_token` it ends a login that waits for its second factor.
    """
    await writer.commit(lambda desk: access.log_out(desk, writer.principal.session))
    return Response(None, status_code=204, cookies=no_cookies())


@post("/auth/refresh", may=ANYBODY, guess="refresh", status_code=200)
async def refresh(
    request: HttpRequest, parts: Sharing, data: JSONBody[RenewSession | None] = None
) -> Response[TokensGiven]:
    """Exchange a refresh token, from the body or the cookie, for new tokens."""
    token = data.refresh_token if data else _from_cookie(request)
    tenant, id, generation = parts.tokens.read_refresh(token)
    session = await _read(parts, lambda it: it.find(Session, id, tenant=tenant))
    session.assert_open(parts.clock())
    principal = Principal(session.user_id, tenant, id, parts.clock())
    renewed, now = await Writer(request, parts.committer, principal).commit(
        lambda desk: (access.renew(desk, id, generation), desk.now),
        wants=[(Session, id), (User, session.user_id)],
        bound=token,
    )
    if renewed.ended:
        raise Unauthenticated("This refresh token was used before.", code="refresh_token_reused")
    return let_in(tokens_of(parts, renewed, tenant, now), parts)


@post("/auth/request-password-reset", may=ANYBODY, guess="reset", status_code=202)
async def request_password_reset(
    data: JSONBody[AskReset], request: HttpRequest, anyone: Anyone, parts: Sharing
) -> Said:
    """Ask for a letter with which a new password can be set."""
    return await _ask_reset(data, request, anyone, parts)


@post("/auth/forgot-password", may=ANYBODY, guess="reset", status_code=202)
async def forgot_password(
    data: JSONBody[AskReset], request: HttpRequest, anyone: Anyone, parts: Sharing
) -> Said:
    """Ask for a letter with which a new password can be set; another name of the same."""
    return await _ask_reset(data, request, anyone, parts)


@post("/auth/reset-password", may=ANYBODY, guess="reset", status_code=200)
async def reset_password(
    data: JSONBody[ResetPassword], request: HttpRequest, anyone: Anyone, parts: Sharing
) -> Response[Said]:
    """Set a new password with the token from the letter; every session ends."""
    mailbox, version = read_reset_token(parts.keyring, data.token)
    check_strength(data.new_password)
    hashed = await parts.passwords.hash(data.new_password)

    def decision(desk: Desk) -> None:
        access.reset(desk, mailbox, version, hashed, caller_of(request, parts))

    await anyone.commit(decision, wants=[(Mailbox, mailbox)], bound=idempotency_secret(parts))
    return Response(
        Said("The new password is set; log in with it."), status_code=200, cookies=no_cookies()
    )


@post("/auth/accept-invitation", may=ANYBODY, guess="invitation")
async def accept_invitation(
    data: JSONBody[AcceptInvitation], request: HttpRequest, anyone: Anyone, parts: Sharing
) -> Me:
    """Join the workspace that a letter invites to; makes the account to log in with."""
    assert_not_foreign(request)
    place = read_invitation_token(parts.keyring, data.token)
    check_strength(data.password)
    hashed = await parts.passwords.hash(data.password)
    asked = Acceptance(*place, data.full_name, hashed)
    user, workspace = await anyone.commit(
        lambda desk: inviting.accept(desk, asked, caller_of(request, parts)),
        bound=idempotency_secret(parts),
    )
    return Me.of(user, workspace, sessions=0)


@get("/auth/ainative/authorize", may=ANYBODY, errors=(503,))
def sso_authorize() -> None:
    """Log in through AINative, where the operator has set it up."""
    raise _no_sso()


@get("/auth/ainative/callback", may=ANYBODY, errors=(503,))
def sso_callback() -> None:
    """Come back from AINative."""
    raise _no_sso()


async def _ask_reset(data: AskReset, request: HttpRequest, anyone: Writer, parts: Parts) -> Said:
    mailbox, caller = mailbox_id(data.email), caller_of(request, parts)
    await anyone.commit(
        lambda desk: access.ask_reset(desk, mailbox, caller), wants=[(Mailbox, mailbox)]
    )
    return Said("If there is an account with this address, a letter is on its way.")


async def _read(parts: Parts, look: Callable[[Reader], T]) -> T:
    reader = Reader(parts.books, HOUSE, parts.clock())
    return await anyio.to_thread.run_sync(look, reader)


async def _proof(parts: Parts, tenant: UUID, user: UUID, code: str) -> Proof:
    keys = await anyio.to_thread.run_sync(factor_keys, parts, tenant, user)
    return Proof(keys, code)


def _logged_in(
    done: tuple[Session, UUID] | Unproved, now: datetime, parts: Parts
) -> Response[TokensGiven | SecondFactorAwaited]:
    if done == Unproved("password"):
        raise Unauthenticated("The e-mail address or the password is wrong.", code="bad_login")
    session, tenant = proved(done)
    if not session.half:
        return let_in(tokens_of(parts, session, tenant, now), parts)
    token = parts.tokens.half_way(session.user_id, tenant, session.id, now)
    return Response(
        SecondFactorAwaited(token, int(HALF_LASTS.total_seconds())),
        status_code=200,
        cookies=no_cookies(),
    )


def _from_cookie(request: HttpRequest) -> str:
    token = request.cookies.get(REFRESH_COOKIE)
    if token is None:
        raise Unauthenticated("Send the refresh token.")
    assert_same_site(request)
    return token


def _registered(
    done: tuple[User, Workspace, Session | None] | None, now: datetime, parts: Parts
) -> Response[Registered]:
    if done is None:
        raise address_taken()
    user, workspace, session = done
    if session is None:
        return Response(Registered.of(user, workspace, sessions=0), status_code=201)
    tokens = tokens_of(parts, session, workspace.id, now)
    fields = {name: getattr(tokens, name) for name in tokens.__struct_fields__}
    return Response(
        Registered.of(user, workspace, sessions=1).but(**fields),
        status_code=201,
        cookies=kept(tokens, parts),
    )


def _no_sso() -> Unavailable:
    return Unavailable("Logging in through AINative is not set up here.", code="sso_not_configured")


routes = [
    register,
    login,
    logout,
    refresh,
    request_password_reset,
    forgot_password,
    reset_password,
    accept_invitation,
    sso_authorize,
    sso_callback,
]
