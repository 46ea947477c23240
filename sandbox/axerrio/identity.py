"""The start-up check: who is it that answers?"""

from datetime import UTC, datetime, timedelta

from starlette.responses import Response

from sandbox.axerrio.tenant import Tenant
from sandbox.wire import Answer


def identity(tenant: Tenant) -> Response:
    """Name the tenant and tell the time."""
    clock = datetime.now(UTC) + timedelta(seconds=tenant.settings.clock_offset_seconds)
    return Answer(
        {
            "tenantId": tenant.seed.tenant_id,
            "name": tenant.seed.name,
            "timeZone": tenant.seed.time_zone,
            "currency": tenant.seed.currency,
            "apiVersion": "1",
            "clock": clock.isoformat(timespec="milliseconds"),
        }
    )
