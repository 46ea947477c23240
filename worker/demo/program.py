"""The day's program of the demo: what is sold, changed, mapped and shipped on both connections."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from worker.demo.pairs import KOMETS_NAMES, NEW_ARTICLES, Pair
from worker.demo.people import People, Script
from worker.demo.trade import Prebook, Sale, Trade
from worker.demo.world import World
from worker.services import Child

#: When orders come, in seconds: in Axerrio and in Komet, for each truck.
_SALES_AT = (0.0, 5.0, 10.0)
_PREBOOKS_AT = (2.5, 7.5)
#: Days from now to the departure of each truck.
_DEPARTS_IN = (2, 3, 3)
#: An article waits so long for its mapping, so that people can see it.
_PARKED_SECONDS = 6.0


class TodaysPeople(People):
    """The people of the demo's day, who also map what Komet does not know."""

    def __init__(self, world: World, tell: Callable[[str], None], command: Callable[..., Child]) -> None:
        """Nobody does anything yet.

        Args:
            world: both systems.
            tell: takes what somebody does, in words.
            command: starts `axkomet` with these arguments.
        """
        super().__init__(world, tell)
        self._command = command
        #: Numbers of the orders that wait for a mapping, as the screen of `axkomet` shows them.
        self.waiting: frozenset[str] = frozenset()
        #: Articles that were mapped on the way.
        self.mapped: list[str] = []
        miami, amsterdam = world.pairs
        self._plan(miami, {2: ("MIXROSE",), 3: ("RSTAR50",), 7: ("MIXROSE",)}, self._day_in_miami)
        self._plan(amsterdam, {2: ("MIXROSE",), 3: ("RCAND60",), 10: ("MIXROSE",)}, self._day_in_amsterdam)

    def _plan(
        self,
        pair: Pair,
        special: Mapping[int, Sequence[str]],
        rest: Callable[[Sequence[Sale], Sequence[Prebook]], list[Script]],
    ) -> None:
        """Twelve orders of Axerrio and four prebooks of Komet, for three trucks."""
        trade = Trade(pair)
        days = [datetime.now(UTC).date() + timedelta(days=days) for days in _DEPARTS_IN]
        sales = [
            trade.sale(_departure(days, n // 4, special.get(n + 1, ())), *special.get(n + 1, ())) for n in range(12)
        ]
        prebooks = [trade.prebook(days[n // 2], *(("MIXROSE",) if n == 1 else ())) for n in range(4)]
        self.sales += sales
        self.prebooks += prebooks
        for wave, at in enumerate(_SALES_AT):
            self._scripts.append(self._sell(pair, at, sales[4 * wave : 4 * wave + 4]))
        for wave, at in enumerate(_PREBOOKS_AT):
            self._scripts.append(self._sell_in_komet(pair, at, prebooks[2 * wave : 2 * wave + 2]))
        self._scripts += rest(sales, prebooks)

    def _day_in_miami(self, sales: Sequence[Sale], prebooks: Sequence[Prebook]) -> list[Script]:
        changed, split, parked, cancelled = sales[0], sales[3], sales[2], sales[5]
        edited = prebooks[2]
        for each in (changed, cancelled, edited):
            each.is_unsettled = True
        return [
            self._map_on_the_screen(parked, "RSTAR50"),
            self._change_boxes(changed),
            self._cancel(cancelled),
            self._edit_in_komet(edited),
            self._leave([*sales[0:2], *prebooks[0:2]]),
            self._leave([split], boxes_of_each_line=1),
            self._leave([*sales[4:8], split, *prebooks[2:4]], after=split),
            self._leave([parked, *sales[8:12]]),
        ]

    def _day_in_amsterdam(self, sales: Sequence[Sale], prebooks: Sequence[Prebook]) -> list[Script]:
        reprinted, parked, shortened = sales[0], sales[2], sales[4]
        cancelled = prebooks[3]
        for each in (shortened, cancelled):
            each.is_unsettled = True
        return [
            self._map_by_command(parked, "RCAND60"),
            self._remove_line(shortened),
            self._cancel_in_komet(cancelled),
            self._leave([*sales[0:2], sales[3], *prebooks[0:2]]),
            self._reprint(reprinted),
            self._leave([*sales[4:8], *prebooks[2:4]]),
            self._leave([parked, *sales[8:12]]),
        ]

    # -- they map ----------------------------------------------------------------------------------------------

    def _map_on_the_screen(self, sale: Sale, article: str) -> Script:
        yield from self._parked(sale, article)
        product = {"code": f"K-{article}", "description": NEW_ARTICLES[article][0]}
        self._world.in_komet(sale.pair, "map", code=article, product=product)
        self.mapped.append(article)
        self._tell(f"{sale.pair.name}: {article} mapped on Komet's screen")

    def _map_by_command(self, sale: Sale, article: str) -> Script:
        yield from self._parked(sale, article)
        arguments = ["mapping", "set", sale.pair.name, article, "--product-code", KOMETS_NAMES[article][0]]
        command = self._command(*arguments)
        while command.alive:
            yield
        worked = command.process.poll() == 0
        self.mapped += [article] if worked else []
        words = "" if worked else f", which failed: see {command.log}"
        self._tell(f"{sale.pair.name}: axkomet {' '.join(arguments)}{words}")

    def _parked(self, sale: Sale, article: str) -> Script:
        """The order waits for the mapping of an article, long enough to be seen."""
        while sale.number not in self.waiting:
            yield
        self._tell(f"{sale.pair.name}: {sale.number} waits, Komet does not know article {article}")
        parked_at = self._seconds
        while self._seconds < parked_at + _PARKED_SECONDS:
            yield


def _departure(days: Sequence[date], truck: int, special: Sequence[str]) -> date:
    """What has to be mapped first leaves with the last truck."""
    return days[-1] if set(special) & NEW_ARTICLES.keys() else days[truck]
