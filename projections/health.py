"""Health: whether writes are taken, for whoever watches over the service; no login needed."""

from litestar import Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery

from zeroinvoice.http.parts import Sharing
from zeroinvoice.http.routes import ANYBODY, get
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.pulse import Checks

SERVICE = "ZeroInvoice API"

# Views


class Health(Value, omit_defaults=True):
    """`healthy`, or `degraded`; only with `verbose` does it say more."""

    status: str
    service: str
    checks: Checks | None = None


class Readiness(Value):
    """`ready`, `degraded` when something stands still, `refusing` when writes are not taken."""

    status: str
    checks: Checks


# Routes


def _refusing(body: type[Value]) -> dict[int, ResponseSpec]:
    words = "Writes cannot be accepted at the moment"
    return {503: ResponseSpec(body, description=words, generate_examples=False)}


@get("/health", may=ANYBODY, errors=(400,), responses=_refusing(Health))
async def health(parts: Sharing, verbose: FromQuery[bool] = False) -> Response[Health]:
    """Say whether the service is healthy: 503 only when writes cannot be accepted.

    A read model that stands still does not make the service unhealthy; `verbose` shows it.
    """
    checks = await parts.pulse.checks()
    sound = checks.sound if verbose else checks.accepting
    status = "healthy" if sound else "degraded"
    body = Health(status, SERVICE, checks if verbose else None)
    return Response(body, status_code=200 if checks.accepting else 503)


@get("/ready", may=ANYBODY, errors=(), responses=_refusing(Readiness))
async def ready(parts: Sharing) -> Response[Readiness]:
    """Say whether to send requests here, and what stands still: 503 when writes are refused."""
    checks = await parts.pulse.checks()
    if not checks.accepting:
        return Response(Readiness("refusing", checks), status_code=503)
    return Response(Readiness("ready" if checks.sound else "degraded", checks), status_code=200)


routes = [health, ready]
