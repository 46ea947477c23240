"""Settings of one Komet company."""

from pydantic import Field

from clients.access import Access
from clients.komet.profile import KometProfile


class KometSettings(Access):
    """One company, reached with one vendor token. `base_url` ends in `/api`."""

    company_code: str = Field(min_length=1)
    """Our name for the company: its request budget is shared by all connections that name it."""
    location_code: str | None = Field(default=None, min_length=1)
    """For a company with many locations: that of its orders."""
    daily_requests: int = Field(default=1000, ge=1)
    """Requests a day for the whole company: Komet allows 1,000 for each user that it pays for."""
    requests_per_second: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    """At most, for the whole company."""
    inbound_carrier_code: str | None = Field(default=None, min_length=1)
    """Carrier of purchase orders, for companies that demand one there."""
    profile: KometProfile = KometProfile()
    """How the company behaves where Komet's documentation is silent: see [its page](../komet-profile.md)."""
