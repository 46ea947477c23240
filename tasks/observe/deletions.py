"""An item that is at 0 or gone: was it us, and is a deletion that nobody answered done by it?"""

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from models.database import now
from models.states import Kind, WriteState
from models.tables import PrebookItem, Proof, PurchaseOrderItem, Write, WriteLine
from tasks import proofs
from tasks.proofs import grace
from tasks.runtime import Timing
from tasks.scopes import Claim

Item = PrebookItem | PurchaseOrderItem

#: What a line of a deletion says once Komet acknowledged it and its item still stands.
STILL_STANDS = "Komet acknowledged the deletion, and the item still stands."


def _kind(item: Item) -> Kind:
    return Kind.PREBOOK_ITEM_DELETE if isinstance(item, PrebookItem) else Kind.PURCHASE_ORDER_ITEM_DELETE


def _asked(session: Session, item: Item) -> list[WriteLine]:
    """Parts of the deletions of the item that were sent, the oldest first."""
    return list(
        session.scalars(
            select(WriteLine)
            .join(Write, WriteLine.write_id == Write.id)
            .where(
                Write.connection_id == item.connection_id,
                Write.kind == _kind(item),
                Write.sent_at.is_not(None),
                WriteLine.sent["item_id"].as_string() == item.item_id,
            )
            .order_by(Write.id)
            .options(joinedload(WriteLine.write))
            .execution_options(populate_existing=True)
        )
    )


def note_gone(session: Session, claim: Claim, item: Item) -> None:
    """The item holds nothing any more. If we ever asked for that it is ours, whatever the answer was."""
    asked = _asked(session, item)
    if not asked:
        return
    item.deleted_at = item.deleted_at or now(session)
    proofs.shown(session, [line.write for line in asked if line.write.state is WriteState.SENT], claim)


def is_stale(session: Session, claim: Claim, item: Item, timing: Timing) -> bool:
    """The list may still show the item as it was before its deletion was acknowledged: not to be believed yet.

    Where it stands on after the grace the deletion did nothing, or somebody took it back: it stands.
    """
    if item.deleted_at is None:
        return False
    asked = _asked(session, item)
    proof = session.get(Proof, (item.connection_id, _kind(item)))
    if claim.began_at < item.deleted_at + grace(proof, timing):
        return True
    item.deleted_at = None
    if asked and asked[-1].write.state is WriteState.DONE and asked[-1].error is None:
        asked[-1].error = STILL_STANDS
    return False
