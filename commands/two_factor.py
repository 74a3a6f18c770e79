"""Second factors: set one up, give its codes, switch it off; and confirm who one is."""

from collections.abc import Callable
from io import BytesIO
from typing import Annotated, Any, Literal, Self, TypeVar
from uuid import UUID

import segno
from anyio import to_thread
from litestar import Request, Response
from litestar.params import JSONBody
from msgspec import Meta
from msgspec.structs import asdict

from zeroinvoice.domain import access, proving
from zeroinvoice.domain.access import Caller
from zeroinvoice.domain.passwords import LARGEST
from zeroinvoice.domain.principal import Entrant, Principal
from zeroinvoice.domain.proving import Claim
from zeroinvoice.domain.session import FRESH, Session
from zeroinvoice.domain.two_factor import Proof, TwoFactor, otpauth_uri, two_factor_of
from zeroinvoice.domain.user import User
from zeroinvoice.http.auth import assert_not_foreign, authenticate
from zeroinvoice.http.letting_in import (
    TokensGiven,
    caller_of,
    factor_keys,
    let_in,
    proved,
    tokens_of,
)
from zeroinvoice.http.parts import Parts, Sharing, idempotency_secret
from zeroinvoice.http.reading import Reading, RequestReader
from zeroinvoice.http.routes import ANYBODY, post
from zeroinvoice.http.writing import Writer, Writing
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import State
from zeroinvoice.kernel.refusals import BadInput, Unauthenticated
from zeroinvoice.kernel.value import Value

T = TypeVar("T")
HttpRequest = Request[Any, Any, Any]
Password = Annotated[str, Meta(min_length=1, max_length=LARGEST)]
Code = Annotated[str, Meta(pattern="^[0-9]{6}$", max_length=6)]
BackupCode = Annotated[str, Meta(min_length=1, max_length=64)]
Token = Annotated[str, Meta(max_length=1000)]


class Secret(Value):
    """A request's words that no log may show."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class SetUpTwoFactor(Secret, kw_only=True, forbid_unknown_fields=True):
    password: Password


class VerifyCode(Secret, kw_only=True, forbid_unknown_fields=True):
    """A code of the authenticator; with the `mfa_token` of a login it lets in."""

    code: Code
    mfa_token: Token | None = None


class VerifyBackupCode(Secret, kw_only=True, forbid_unknown_fields=True):
    code: BackupCode
    mfa_token: Token


class DisableTwoFactor(Secret, kw_only=True, forbid_unknown_fields=True):
    """The password, and one of the two kinds of code."""

    password: Password
    code: Code | None = None
    backup_code: BackupCode | None = None


class RegenerateBackupCodes(Secret, kw_only=True, forbid_unknown_fields=True):
    password: Password
    code: Code


class ConfirmUser(Secret, kw_only=True, forbid_unknown_fields=True):
    """The password, and a code where a second factor is on."""

    password: Password
    code: Code | None = None


class SecretShown(Value):
    """A new secret in three forms, shown this once."""

    otpauth_uri: str
    secret_base32: str
    qr_svg: str

    @classmethod
    def of(cls, secret: str, email: str) -> Self:
        uri = otpauth_uri(secret, email)
        drawn = BytesIO()
        segno.make(uri, micro=False).save(drawn, "svg", xmldecl=False, scale=4, light="#fff")
        return cls(uri, secret, drawn.getvalue().decode())


class BackupCodesShown(Value):
    """The backup codes, shown this once; each is good once."""

    backup_codes: tuple[str, ...]
    enabled: Literal[True] = True


class SecondFactorOff(Value):
    enabled: Literal[False] = False


class LetInByBackupCode(TokensGiven, kw_only=True):
    backup_codes_left: int


class Confirmed(Value):
    expires_in: int  # seconds for which the session counts as fresh


@post("/auth/2fa/setup", may="account", status_code=200)
async def setup(
    data: JSONBody[SetUpTwoFactor],
    request: HttpRequest,
    writer: Writing,
    reader: Reading,
    parts: Sharing,
) -> SecretShown:
    """Have a secret made for an authenticator.

    It is in use once `verify` was sent a code of it; calling again replaces it until then.
    """
    claim = await _claim(request, reader, parts, data.password)
    done = await _commit(writer, claim, parts, lambda desk: proving.prepare(desk, claim))
    email, secret_id = proved(done)
    return SecretShown.of(claim.proof.keys.secret(secret_id), email)


@post("/auth/2fa/verify", may=ANYBODY, guess="second_factor", status_code=200)
async def verify(
    data: JSONBody[VerifyCode], request: HttpRequest, parts: Sharing
) -> Response[TokensGiven | BackupCodesShown]:
    """Switch the second factor on by its first code, or finish a login with a code.

    With the `mfa_token` of a login it answers with tokens. Without one it is for those who are
    logged in, answers with the backup codes, and every other session ends.
    """
    if data.mfa_token is None:
        return Response(await _switched_on(request, parts, data.code), status_code=200)
    tokens, _ = await _finished(request, parts, data.mfa_token, code=data.code)
    return let_in(tokens, parts)


@post("/auth/2fa/verify-backup", may=ANYBODY, guess="second_factor", status_code=200)
async def verify_backup(
    data: JSONBody[VerifyBackupCode], request: HttpRequest, parts: Sharing
) -> Response[LetInByBackupCode]:
    """Finish a login with a backup code; the answer says how many are left."""
    tokens, left = await _finished(request, parts, data.mfa_token, backup_code=data.code)
    return let_in(LetInByBackupCode(**asdict(tokens), backup_codes_left=left), parts)


@post("/auth/2fa/disable", may="account", status_code=200)
async def disable(
    data: JSONBody[DisableTwoFactor],
    request: HttpRequest,
    writer: Writing,
    reader: Reading,
    parts: Sharing,
) -> SecondFactorOff:
    """Switch the second factor off; every other session ends."""
    if (data.code is None) == (data.backup_code is None):
        raise BadInput("Send a code or a backup_code, one of them.", pointer="/code")
    claim = await _claim(request, reader, parts, data.password, data.code, data.backup_code)
    proved(await _commit(writer, claim, parts, lambda desk: proving.disable(desk, claim)))
    return SecondFactorOff()


@post("/auth/2fa/backup-codes", may="account", status_code=200)
async def backup_codes(
    data: JSONBody[RegenerateBackupCodes],
    request: HttpRequest,
    writer: Writing,
    reader: Reading,
    parts: Sharing,
) -> BackupCodesShown:
    """Make ten new backup codes; those before are void."""
    claim = await _claim(request, reader, parts, data.password, data.code)
    done = await _commit(writer, claim, parts, lambda desk: proving.regenerate(desk, claim))
    return BackupCodesShown(claim.proof.keys.backup_codes(proved(done)))


@post("/auth/confirm", may="account", status_code=200)
async def confirm(
    data: JSONBody[ConfirmUser],
    request: HttpRequest,
    writer: Writing,
    reader: Reading,
    parts: Sharing,
) -> Confirmed:
    """Confirm who one is, for what needs a session in which that was done lately."""
    claim = await _claim(request, reader, parts, data.password, data.code)
    proved(await _commit(writer, claim, parts, lambda desk: proving.confirm(desk, claim)))
    return Confirmed(int(FRESH.total_seconds()))


async def _switched_on(request: HttpRequest, parts: Parts, code: str) -> BackupCodesShown:
    writer = Writer(request, parts.committer, authenticate(request, parts.tokens))
    writer.needs("account")
    principal = writer.principal
    claim = Claim(
        principal.user,
        principal.session,
        caller_of(request, parts),
        await _proof(parts, principal, code),
    )
    done = await _commit(writer, claim, parts, lambda desk: proving.enable(desk, claim))
    return BackupCodesShown(claim.proof.keys.backup_codes(proved(done)))


async def _finished(
    request: HttpRequest,
    parts: Parts,
    token: str,
    code: str | None = None,
    backup_code: str | None = None,
) -> tuple[TokensGiven, int]:
    """The tokens of a login that was begun by half, and how many backup codes are left."""
    assert_not_foreign(request)
    entrant = parts.tokens.principal(token)
    if not isinstance(entrant, Entrant):
        raise Unauthenticated("This is not the mfa_token of a login.")
    caller, id = caller_of(request, parts), entrant.session
    proof = await _proof(parts, entrant, code, backup_code)
    done, now = await Writer(request, parts.committer, entrant).commit(
        lambda desk: (access.finish(desk, id, proof, caller), desk.now),
        wants=[(Session, id), *_wants(entrant.tenant, entrant.user)],
        bound=idempotency_secret(parts),
    )
    session, factor = proved(done)
    return tokens_of(parts, session, entrant.tenant, now), len(factor.backup_hashes)


async def _claim(
    request: HttpRequest,
    reader: RequestReader,
    parts: Parts,
    password: str,
    code: str | None = None,
    backup_code: str | None = None,
) -> Claim:
    """What somebody logged in says of themselves, the password looked at. Raises `Throttled`."""
    caller = caller_of(request, parts)
    principal, user = await to_thread.run_sync(_asked, reader, caller)
    proof = await _proof(parts, principal, code, backup_code)
    matched = await parts.passwords.matched(password, user.password_hash)
    return Claim(principal.user, principal.session, caller, proof, matched)


def _asked(reader: RequestReader, caller: Caller) -> tuple[Principal, User]:
    person = reader.person
    user = reader.find(User, person.user)
    access.may_try(reader, user, caller)
    return person, user


async def _proof(
    parts: Parts, principal: Principal, code: str | None, backup_code: str | None = None
) -> Proof:
    keys = await to_thread.run_sync(factor_keys, parts, principal.tenant, principal.user)
    return Proof(keys, code, backup_code)


async def _commit(writer: Writer, claim: Claim, parts: Parts, decision: Callable[[Desk], T]) -> T:
    wants = _wants(writer.tenant, claim.user)
    return await writer.commit(decision, wants=wants, bound=idempotency_secret(parts))


def _wants(tenant: UUID, user: UUID) -> list[tuple[type[State[Any]], UUID]]:
    return [(User, user), (TwoFactor, two_factor_of(tenant, user))]


routes = [setup, verify, verify_backup, disable, backup_codes, confirm]
