"""Settings of one Axerrio tenant."""

from pydantic import Field

from clients.access import Access


class AxerrioSettings(Access):
    """One tenant. `base_url` is what stands before `/api/v1`."""

    #: Sent as `X-Tenant-Id`; left out where none is named.
    tenant: str | None = Field(default=None, min_length=1, pattern=r"^[!-~]+$")
