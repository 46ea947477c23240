"""The kinds of writes: how each is frozen, sent and settled.

One table, from which the Celery tasks take their names too. A new kind of write is a row of the file that it belongs
to, a member of `models.states.Kind`, and the rule in `tasks.plan` that asks for it.
"""

from models.states import Kind
from tasks.kinds import axerrio, prebooks, purchase_orders, shipping
from tasks.kinds.form import Address, WriteKind

__all__ = ["KINDS", "Address"]

KINDS: dict[Kind, WriteKind] = {
    each.kind: each for of_file in (axerrio, prebooks, purchase_orders, shipping) for each in of_file.KINDS
}
