"""Settings of one Axerrio tenant."""

from pydantic import Field

from clients.access import Access


class AxerrioSettings(Access):
    """One tenant. `base_url` is what stands before `/api/v1`."""

    tenant: str | None = Field(default=None, min_length=1, pattern=r"^[!-~]+$")
    """Sent as `X-Tenant-Id`, and compared with what Axerrio says that it is. Not set: sent and compared nowhere."""
