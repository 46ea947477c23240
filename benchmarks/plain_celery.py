"""The job as a plain Celery version of it would do it: a task for each call, tried again by Celery, and no ledger.

    AXKOMET_BENCHMARK_PAIRS='[…]' AXKOMET_BENCHMARK_BROKER=redis://… celery -A benchmarks.plain_celery worker

Its worker runs as Celery has it by default: processes, as many as there are cores, and messages acknowledged before
they are worked on. One task reads the feed of a tenant and starts a chain for each order; the chain hands on what it
has learned in its messages. A read asks for the one prebook, or the one purchase order, that its order needs. Where a
worker dies, the orders that it worked on are lost; where an answer is lost, the call is made twice.
"""

import json
import os
from collections.abc import Callable
from functools import cache
from typing import Any

import httpx
from celery import Celery, chain

from benchmarks.bare import Calls, Pair

Json = dict[str, Any]
BROKER, PAIRS = "AXKOMET_BENCHMARK_BROKER", "AXKOMET_BENCHMARK_PAIRS"

app = Celery("plain", broker=os.environ.get(BROKER))
_task: Callable[[Callable[..., Any]], Any] = app.task(
    autoretry_for=(httpx.HTTPError, RuntimeError), retry_backoff=True, ignore_result=True
)


@cache
def _calls(pair: int) -> Calls:
    """The calls of a pair; each process has connections of its own."""
    return Calls(_http(), Pair(**json.loads(os.environ[PAIRS])[pair]))


@cache
def _http() -> httpx.Client:
    return httpx.Client(timeout=20)


@_task
def read_orders(pair: int) -> None:
    """Read a tenant's orders, and start a chain for each."""
    for order in _calls(pair).orders():
        steps = (read_prebook, create_purchase_order, read_purchase_order, put_references)
        chain(create_prebook.s({"pair": pair, "order": order}), *(each.s() for each in steps)).delay()


@_task
def create_prebook(job: Json) -> Json:
    """Make the prebook of an order."""
    return job | {"number": _calls(job["pair"]).create_prebook(job["order"])["prebookNumber"]}


@_task
def read_prebook(job: Json) -> Json:
    """Learn the ids of its items."""
    (prebook,) = _calls(job["pair"]).prebooks(job["order"]["truckDate"], job["number"]).values()
    return job | {"prebook": prebook}


@_task
def create_purchase_order(job: Json) -> Json:
    """Make the purchase order of an order."""
    made = _calls(job["pair"]).create_purchase_order(job["order"], job["prebook"])
    return job | {"number": made["purchaseOrderNumber"]}


@_task
def read_purchase_order(job: Json) -> Json:
    """Learn the ids of its items."""
    (found,) = _calls(job["pair"]).purchase_orders(job["order"]["departureDate"], job["number"]).values()
    return job | {"purchase_order": found}


@_task
def put_references(job: Json) -> None:
    """Tell Axerrio."""
    _calls(job["pair"]).put_references(job["order"], job["prebook"], job["purchase_order"])
