"""The ledger takes reports in any order, twice, and of anybody."""

import logging
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxyconfig.domain.connections import ConnectionEvent, ConnectionStage
from proxyconfig.models import Connection
from proxyconfig.services.connections import close_left_open, forget, record
from tenants.domain.states import Direction, Verdict
from tenants.models import platform_scope

pytestmark = pytest.mark.django_db

OPENED = datetime(2027, 1, 1, 12, tzinfo=UTC)


def event(stage=ConnectionStage.OPENED, **fields) -> ConnectionEvent:
    """A tunnel of acme's."""
    values = {
        "proxy_id": uuid.uuid4().hex,
        "trace_id": "a" * 32,
        "direction": Direction.OUT,
        "tenant": "acme",
        "source_address": "127.0.0.1",
        "snat_address": "127.120.1.1",
        "destination_host": "docs.example.org",
        "destination_address": "203.0.113.7",
        "destination_port": 443,
        "verdict": Verdict.ALLOWED,
        "rule_id": "acme/docs/1",
        "detail": "CONNECT",
        "opened_at": OPENED,
    }
    return ConnectionEvent(stage=stage, **{**values, **fields})


def ended(opened: ConnectionEvent) -> ConnectionEvent:
    """Its end."""
    return event(
        ConnectionStage.CLOSED,
        proxy_id=opened.proxy_id,
        closed_at=OPENED + timedelta(seconds=3),
        bytes_sent=10,
        bytes_received=20,
    )


def row() -> Connection:
    with platform_scope("test"):
        return Connection.objects.get()


def test_open_connection_is_on_record_with_all_that_is_known(acme):
    assert record([event()]) == 1

    stored = row()
    assert (stored.tenant_id, stored.trace_id, stored.rule_id) == (acme.pk, "a" * 32, "acme/docs/1")
    assert (stored.source_address, stored.snat_address) == ("127.0.0.1", "127.120.1.1")
    assert (stored.destination_host, stored.destination_address, stored.destination_port) == (
        "docs.example.org",
        "203.0.113.7",
        443,
    )
    assert (stored.direction, stored.verdict, stored.closed_at) == ("Out", "Allowed", None)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=6))
def test_any_order_and_number_of_reports_ends_the_same(acme, deliveries):
    opened = event()
    batches = [
        [report for report, is_in in ((opened, has_open), (ended(opened), has_end)) if is_in]
        for has_open, has_end in deliveries
    ]

    for batch in batches:
        record(batch)
    record([ended(opened)])
    record([opened])

    stored = row()
    assert stored.closed_at == OPENED + timedelta(seconds=3)
    assert (stored.bytes_sent, stored.bytes_received) == (10, 20)
    with platform_scope("test"):
        Connection.objects.all().delete()


def test_denial_is_an_end(acme):
    record(
        [
            event(
                ConnectionStage.DENIED,
                verdict=Verdict.DENIED,
                rule_id="acme/default-deny",
                destination_address="",
                snat_address="",
                message="No egress policy of acme allows it.",
            )
        ]
    )

    stored = row()
    assert stored.closed_at == stored.opened_at
    assert stored.destination_address is None
    assert stored.message == "No egress policy of acme allows it."


def test_unknown_tenant_is_dropped_and_counted_and_costs_no_other_report(acme, caplog):
    with caplog.at_level(logging.WARNING):
        count = record([event(tenant="gone"), event(), event(tenant="gone")])

    assert count == 1
    assert caplog.messages == ["2 reports of unknown tenants were dropped: gone"]


def test_strange_values_cost_no_batch(acme):
    record([event(source_address="unix", destination_host="h" * 400, detail="d" * 400), event()])

    with platform_scope("test"):
        assert Connection.objects.count() == 2


@pytest.mark.parametrize("count", [1, 200])
def test_query_count_does_not_grow_with_the_batch(acme, globex, count, django_assert_num_queries):
    events = []
    for number in range(count):
        opened = event(tenant=("acme", "globex")[number % 2])
        events.append(opened)
        if number % 3:
            events.append(ended(opened))
    record(events)

    # Two savepoint marks, two settings, tenants, one insert of each kind that there is.
    with django_assert_num_queries(6 if count == 1 else 7):
        record(events)


def test_connections_of_a_killed_process_are_ended_with_a_reason(acme):
    opened = event()
    record([opened, event(ConnectionStage.OPENED, direction=Direction.IN)])

    assert close_left_open("restarted") == 1
    assert close_left_open("restarted") == 0

    with platform_scope("test"):
        stored = Connection.objects.get(proxy_id=uuid.UUID(opened.proxy_id))
    assert stored.closed_at is not None
    assert stored.message == "restarted"


def test_old_connections_are_forgotten_and_open_ones_are_not(acme):
    old, still_open = event(), event()
    record([old, still_open])
    record([ended(old)])

    assert forget(OPENED) == 0
    assert forget(OPENED + timedelta(days=1)) == 1
    assert row().proxy_id == uuid.UUID(still_open.proxy_id)
