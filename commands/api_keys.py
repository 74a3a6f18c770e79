"""API keys: issue, revoke."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar.params import FromPath, JSONBody
from msgspec import Meta

from projections.api_keys import ApiKeyView
from zeroinvoice.domain.api_key import ApiKey, key_token
from zeroinvoice.domain.roles import Permission
from zeroinvoice.http.parts import Sharing
from zeroinvoice.http.routes import delete, post
from zeroinvoice.http.writing import Writing
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.value import Value


class IssueApiKey(Value, kw_only=True, forbid_unknown_fields=True):
    """What a program may do, by its key, and until when: 90 days from now if it is not said."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    permissions: Annotated[tuple[Permission, ...], Meta(max_length=100)]
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class IssuedApiKey(ApiKeyView):
    """A new key, with the token to send as `Authorization: Bearer` or `X-API-Key`."""

    token: str  # shown this once


@post("/workspace/api-keys", may="keys:write")
async def issue(data: JSONBody[IssueApiKey], writer: Writing, parts: Sharing) -> IssuedApiKey:
    """Issue an API key; its token is in this answer and nowhere else."""
    for permission in data.permissions:  # nobody hands on what they may not do themselves
        writer.needs(permission)

    def decision(desk: Desk) -> ApiKey:
        key = desk.new(ApiKey)
        token = key_token(parts.keyring, desk.tenant, key.id)
        asked = (data.name, data.permissions, data.expires_at)
        return desk.record(key, key.issue(*asked, token, desk.now))

    key = await writer.commit(decision)
    return IssuedApiKey(
        **ApiKeyView.fields(key), token=key_token(parts.keyring, writer.tenant, key.id)
    )


@delete("/workspace/api-keys/{key_id:uuid}", may="keys:write")
async def revoke(key_id: FromPath[UUID], writer: Writing) -> None:
    """Revoke an API key; it is refused from now on."""
    await writer.decide(ApiKey, key_id, lambda it: it.revoke())


routes = [issue, revoke]
