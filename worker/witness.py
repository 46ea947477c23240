"""A client for Komet that remembers what it was shown, and counts what it asked."""

import time
from collections.abc import Iterator, Sequence
from datetime import date, datetime

from clients.errors import NoTurn
from clients.http import Gate, Tell
from clients.komet.client import KometClient, Listing
from clients.komet.settings import KometSettings
from models.canonical import Prebook, PurchaseOrder


class Turnstile:
    """Counts the Komet requests that were let through. Nobody needs its thread, so it waits longer for its turn."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.requests = 0

    def enter(self, operation: str, *, write: bool, patience: float) -> None:
        """Let one request through.

        Raises:
            NoBudget: the day's requests for reads are used up.
            NoTurn: its turn comes later than `patience` seconds.
        """
        until = time.monotonic() + patience
        while True:
            try:
                self._gate.enter(operation, write=write, patience=patience)
            except NoTurn as error:
                if time.monotonic() + error.retry_after > until:
                    raise
                time.sleep(error.retry_after)
            else:
                self.requests += 1
                return

    def give_back(self) -> None:
        """It was surely not sent."""
        self.requests -= 1
        self._gate.give_back()


class Witness(KometClient):
    """A client that remembers what it was shown."""

    def __init__(self, settings: KometSettings, token: str, *, timeout: float, gate: Gate, tell: Tell) -> None:
        self.gate = Turnstile(gate)
        super().__init__(settings, token, timeout=timeout, gate=self.gate, tell=tell)
        #: The newest list of the whole window, and its first and last ship date.
        self.window: Listing[Prebook] | None = None
        self.window_days = (date.max, date.min)
        self.days: dict[date, Listing[PurchaseOrder]] = {}
        self.numbers: set[str] = set()
        self.elsewhere: list[PurchaseOrder] = []

    def list_prebooks(
        self,
        *,
        truck_date: date | None = None,
        ship_dates: tuple[date, date] | None = None,
        updated_since: datetime | None = None,
    ) -> Listing[Prebook]:
        """As ever."""
        listing = super().list_prebooks(truck_date=truck_date, ship_dates=ship_dates, updated_since=updated_since)
        if ship_dates is not None and updated_since is None:
            self.window, self.window_days = listing, ship_dates
        return listing

    def list_purchase_orders(self, *, ship_date: date) -> Listing[PurchaseOrder]:
        """As ever."""
        self.days[ship_date] = super().list_purchase_orders(ship_date=ship_date)
        return self.days[ship_date]

    def purchase_orders_by_number(self, numbers: Sequence[str]) -> Listing[PurchaseOrder]:
        """As ever."""
        listing = super().purchase_orders_by_number(numbers)
        self.numbers |= set(numbers)
        self.elsewhere += listing.records
        return listing

    @property
    def purchase_orders(self) -> Iterator[PurchaseOrder]:
        """All that were shown."""
        for listing in self.days.values():
            yield from listing.records
        yield from self.elsewhere
