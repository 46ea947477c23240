"""A small storm of the kind that `make storm` measures: everything breaks at once, and nothing is lost or doubled."""

import pytest

from benchmarks.site import running_site
from benchmarks.storm import rage, troubles

ORDERS, SECONDS, SEED = 24, 14.0, 3
#: Orders that people change, and those that they cancel, are among so few, too.
LIMIT = 200.0


@pytest.mark.timeout(360)
@pytest.mark.thorough
def test_a_small_storm_loses_and_doubles_nothing() -> None:
    with running_site() as site:
        storm = rage(site, orders=ORDERS, seconds=SECONDS, seed=SEED, limit=LIMIT)
    print("\n".join(storm.evidence))  # noqa: T201 - pytest shows it with a failure
    assert not list(troubles(storm))
    assert storm.rest_seconds is not None
    assert storm.holds
    assert len(storm.people.expected) == ORDERS
    assert storm.people.counts["changed"]
    assert storm.people.counts["cancelled"]
    assert sum(count for what, count in storm.weather.counts.items() if "killed" in what) >= SECONDS / 4
    assert storm.weather.counts["Redis emptied"]
