"""A ledger of an older version comes up with everything in it: what was sent is not taken for a change."""

import threading
import time
from collections.abc import Iterator

import pytest
from alembic import command
from sqlalchemy import Engine, create_engine, text

from models.database import SchemaBusyError, SchemaUnfitError, make_engine, migrations_of, schema_versions, upgrade
from tests.models.test_schema import wait_until_blocked


@pytest.fixture
def old_ledger(postgres: str) -> Iterator[Engine]:
    """An empty database with the first schema."""
    admin = create_engine(postgres.rsplit("/", 1)[0] + "/postgres", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE DATABASE old_ledger"))
    engine = make_engine(postgres.rsplit("/", 1)[0] + "/old_ledger")
    command.upgrade(migrations_of(engine), "0001")
    yield engine
    engine.dispose()
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE old_ledger WITH (FORCE)"))
    admin.dispose()


ROWS = """
    INSERT INTO connections (id, name, joins, settings_hash) VALUES (1, 'miami', 'a|b', '');
    INSERT INTO scopes (id, connection_id, feed, key) VALUES (1, 1, 'komet-prebooks', '2026-11-26');
    INSERT INTO orders (id, connection_id, origin, axerrio_key, axerrio_number, version, sequence, wanted,
                        departure_date, truck_date, next_task)
         VALUES (1, 1, 'axerrio', 'SO-1', '2026-1', 1, 1, '{}', '2026-11-24', '2026-11-26', 'create_prebook');
    INSERT INTO order_lines (id, order_id, line_key, position, since_version, wanted, applied)
         VALUES (1, 1, '1', 0, 1, '{"article": {"code": "RFREE50"}}',
                 '{"boxes": 4, "product_code": "RFREE50", "departure_date": "2026-11-24"}');
    INSERT INTO writes (id, connection_id, order_id, kind, state, order_sequence, body, mark, idempotency_key,
                        sent_at, settled_at)
         VALUES (1, 1, 1, 'komet.prebook.create', 'done', 1, '{}', '0123456789', 'k1', now(), now()),
                (2, 1, 1, 'komet.purchase.order.create', 'done', 1, '{}', NULL, 'k2', now(), now());
    INSERT INTO write_lines (write_id, line_id, kind, is_open)
         VALUES (1, 1, 'komet.prebook.create', false), (2, 1, 'komet.purchase.order.create', false);
    INSERT INTO prebooks (id, connection_id, order_id, write_id, prebook_id, truck_date, as_of)
         VALUES (1, 1, 1, 1, '991201', '2026-11-26', now());
    INSERT INTO prebook_items (id, connection_id, prebook_row, line_id, item_id, boxes, mapped, content, as_of)
         VALUES (1, 1, 1, 1, '881', 4, true, '{"boxes": 4}', now());
"""


def test_what_was_sent_stands_where_it_was_sent(old_ledger: Engine) -> None:
    with old_ledger.begin() as connection:
        for statement in ROWS.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    upgrade(old_ledger)
    sent = {"boxes": 4, "product_code": "RFREE50", "departure_date": "2026-11-24", "article": "RFREE50"}
    with old_ledger.connect() as connection:
        of_writes = connection.execute(text("SELECT sent FROM write_lines ORDER BY write_id")).scalars().all()
        item = connection.execute(text("SELECT sent, baseline, missing FROM prebook_items")).one()
        assert connection.execute(text("SELECT seeded FROM order_lines")).scalar_one() is None
    assert of_writes == [sent, {"prebook_item_id": "881", "boxes": 4, "ship_date": "2026-11-24"}]
    assert item == (sent, {"boxes": 4}, 0)


def test_the_ledger_of_another_program_stays_as_it_is(old_ledger: Engine) -> None:
    """Also of one that numbers its versions as we do."""
    with old_ledger.begin() as connection:
        connection.execute(text("ALTER FUNCTION axkomet_now() RENAME TO theirs"))
    versions = schema_versions(old_ledger)
    assert (versions.current, versions.is_ours, versions.serves) == ("0001", False, False)
    with pytest.raises(SchemaUnfitError):
        upgrade(old_ledger)
    assert schema_versions(old_ledger) == versions


def test_what_others_hold_is_waited_for_so_that_they_go_on_meanwhile(old_ledger: Engine) -> None:
    with old_ledger.connect() as holder:
        holder.execute(text("SELECT count(*) FROM orders"))
        with pytest.raises(SchemaBusyError):
            upgrade(old_ledger, patience=0)
        assert schema_versions(old_ledger).current == "0001"
        upgrading = threading.Thread(target=upgrade, args=[old_ledger])
        upgrading.start()
        wait_until_blocked(old_ledger)
        began = time.monotonic()
        with old_ledger.connect() as another:  # behind the upgrade, which waits for the holder
            another.execute(text("SELECT count(*) FROM orders"))
        assert time.monotonic() - began < 4
        assert upgrading.is_alive()
        holder.rollback()
        upgrading.join(20)
    versions = schema_versions(old_ledger)
    assert versions.current == versions.needed
