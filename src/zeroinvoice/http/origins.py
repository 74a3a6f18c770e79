"""Origins: who asks, from where and why, as it goes on record with whatever comes of a request."""

from typing import Any

from litestar import Request

from zeroinvoice.http.edge import request_id
from zeroinvoice.kernel.facts import Actor, Origin


def origin_of(request: Request[Any, Any, Any], by: Actor) -> Origin:
    """What is kept of a request, cut to a bearable length."""
    headers, client = request.headers, request.client
    reason = headers.get("x-reason")
    return Origin(
        by,
        request_id(request.scope),
        ip=client.host if client else None,
        agent=(headers.get("user-agent") or "")[:200] or None,
        reason=reason[:500] if reason else None,
    )
