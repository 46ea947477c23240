"""What is traded during the storm: orders of both kinds on three connections, changed, cancelled and shipped."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil

from worker.demo.pairs import MIXED, Pair, pairs
from worker.demo.people import Order, People, Script, When
from worker.demo.trade import Prebook, Sale, Trade
from worker.demo.world import World

#: Of the orders of each kind.
CHANGED, CANCELLED, MIXED_SHARE, SPLIT, REPRINTED = 0.10, 0.05, 0.15, 0.05, 0.05
#: Two of three are orders of Axerrio, the rest are prebooks that a Komet user makes.
SALES_SHARE = 2 / 3
#: All have come when so much of the storm is over, so that it meets each step of their way.
_COME_WITHIN = 0.7
#: Days from now to the departure of a truck.
_DEPARTS_IN = (2, 3, 4)
#: A truck takes what is ready, so often.
_TRUCK_SECONDS = (4.0, 10.0)
#: Boxes of each line that go first, where an order leaves in two shipments.
_FIRST_BOXES = 1


def three_pairs() -> tuple[Pair, ...]:
    """Three Komet companies, each joined to an Axerrio tenant of its own."""
    third = Pair(
        name="dubai",
        company_code="DXB",
        company_zone="Asia/Dubai",
        tenant="kilima",
        tenant_name="Kilima Flowers",
        tenant_zone="Africa/Nairobi",
        currency="USD",
        carrier=("DFT", "Desert Flower Transport"),
        buyers={"GULFROSE": ("D31", "Gulf Rose Trading"), "OASIS": ("D44", "Oasis Flowers")},
        first_number=93_001,
        airline="176",
    )
    return (*pairs(), third)


class StormPeople(People):
    """The people of the storm. The dice decide what they sell, which of it they change or cancel, and when."""

    def __init__(self, world: World, orders: int, seconds: float, seed: int) -> None:
        """Nobody does anything yet.

        Args:
            world: both systems.
            orders: of both kinds, on all connections.
            seconds: the storm lasts so long.
            seed: of the dice.
        """
        super().__init__(world, lambda _: None)
        self._dice = random.Random(seed)
        self._seconds_of_storm = seconds
        #: Orders by what happens to them on their way.
        self.counts: Counter[str] = Counter()
        shares = [len(range(n, orders, len(world.pairs))) for n in range(len(world.pairs))]
        for pair, count in zip(world.pairs, shares, strict=True):
            self._trade(pair, count, random.Random(f"{seed} {pair.name}"))

    def _trade(self, pair: Pair, count: int, dice: random.Random) -> None:
        trade = Trade(pair, dice)
        today = datetime.now(UTC).date()
        sold_in_axerrio = round(count * SALES_SHARE)
        sold: list[Order] = []
        for n in range(count):
            departure = today + timedelta(days=dice.choice(_DEPARTS_IN))
            special = (MIXED[0],) if dice.random() < MIXED_SHARE else ()
            make = trade.sale if n < sold_in_axerrio else trade.prebook
            sold.append(make(departure, *special))
            self.counts["mixed"] += len(special)
        sales = [each for each in sold if isinstance(each, Sale)]
        prebooks = [each for each in sold if isinstance(each, Prebook)]
        self.sales += sales
        self.prebooks += prebooks
        for sale in sales:
            self._scripts.append(self._sell(pair, self._some_time(), [sale]))
        for prebook in prebooks:
            self._scripts.append(self._sell_in_komet(pair, self._some_time(), [prebook]))
        for of_kind in (sales, prebooks):
            self._spoil(of_kind)
        reprinted = self._dice.sample(sales, ceil(len(sales) * REPRINTED))
        self._scripts += [self._reprint(sale) for sale in reprinted if not sale.is_unsettled]
        self.counts["reprinted"] += sum(not sale.is_unsettled for sale in reprinted)
        split = self._dice.sample(sales, ceil(len(sales) * SPLIT))
        self._scripts.append(self._trucks(sold, split, dice))

    def _some_time(self) -> float:
        return self._dice.uniform(0, self._seconds_of_storm * _COME_WITHIN)

    # -- they change their minds -----------------------------------------------------------------------------

    def _spoil(self, orders: Sequence[Order]) -> None:
        """Change some and cancel others, each at a time of its own."""
        changed, cancelled = (ceil(len(orders) * share) for share in (CHANGED, CANCELLED))
        chosen = self._dice.sample(list(orders), changed + cancelled)
        for order in chosen:
            order.is_unsettled = True
        for order in chosen[:changed]:
            self._scripts.append(self._change(order))
        for order in chosen[changed:]:
            when = self._some_step()
            script = self._cancel(order, when) if isinstance(order, Sale) else self._cancel_in_komet(order, when)
            self._scripts.append(script)
        self.counts["changed"] += changed
        self.counts["cancelled"] += cancelled

    def _change(self, order: Order) -> Script:
        when = self._some_step()
        if isinstance(order, Prebook):
            return self._edit_in_komet(order, when)
        return self._dice.choice((self._change_boxes, self._remove_line))(order, when)

    def _some_step(self) -> When:
        """When it happens: just after it was sold, once all of it is bought, or once its labels are printed."""
        step = self._dice.choice((self._is_sold, self._is_bought, self._has_labels))
        return partial(self._is_long_enough, step, self._dice.uniform(0, 4), {})

    def _is_long_enough(self, step: When, pause: float, since: dict[str, float], order: Order) -> bool:
        """The order has come to the step so many seconds ago."""
        if not since and step(order):
            since["it"] = self._seconds
        return bool(since) and self._seconds - since["it"] >= pause

    def _is_sold(self, order: Order) -> bool:
        return bool(order.id) if isinstance(order, Prebook) else self._record(order) is not None

    def _has_labels(self, order: Order) -> bool:
        record = self._record(order)
        if record is None:
            return False
        return all(self._books.labels(order.pair.tenant, record["key"], each["lineKey"]) for each in record["lines"])

    # -- they ship -------------------------------------------------------------------------------------------

    def _trucks(self, orders: Sequence[Order], split: Sequence[Order], dice: random.Random) -> Script:
        """Again and again a truck takes what is ready, until all of it has left."""
        waiting = list(orders)
        to_split = {id(order) for order in split}
        while waiting:
            leaves_at = self._seconds + dice.uniform(*_TRUCK_SECONDS)
            while self._seconds < leaves_at:
                yield
            ready = [each for each in waiting if self._is_printed(each)]
            going = [each for each in ready if not each.is_cancelled]
            parted = [each for each in going if id(each) in to_split]
            for each in parted:
                record = self._record(each) or {"lines": ()}
                self._ship([each], {line["lineKey"]: _FIRST_BOXES for line in record["lines"]})
                to_split.remove(id(each))
            gone = {id(each) for each in ready} - {id(each) for each in parted}
            whole = [each for each in going if id(each) in gone]
            if whole:
                self._ship(whole)
            self.counts["shipments"] += len(parted) + bool(whole)
            waiting = [each for each in waiting if id(each) not in gone]
