"""Pages of a list that only grows: every row once, in order, and no count."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from proxyconfig.models import Connection
from proxyconfig.tests.factories import ConnectionFactory
from tenants.models import AuditEntry
from tenants.tests.factories import AuditEntryFactory
from tenants.ui import paging

LIST = "tenants:audit-list"


@pytest.fixture
def short_pages(monkeypatch) -> None:
    monkeypatch.setattr(paging, "PAGE_SIZE", 2)


def stretch(rows, **asked) -> paging.Stretch:
    return paging.newest_of(RequestFactory().get("/", asked), rows)


def pks(page: paging.Stretch) -> list[int]:
    return [row.pk for row in page]


def test_pages_lead_to_the_oldest_row_and_back(alice, short_pages):
    made = [AuditEntryFactory(tenant=alice.tenant).pk for _ in range(5)]
    with alice.acting():
        rows = AuditEntry.objects.all()

        first = stretch(rows)
        second = stretch(rows, before=first.older)
        last = stretch(rows, before=second.older)
        back = stretch(rows, after=last.newer)
        top = stretch(rows, after=back.newer)

    assert [pks(page) for page in (first, second, last)] == [made[:2:-1], made[2:0:-1], made[:1]]
    assert (first.newer, last.older) == (None, None)
    assert (pks(back), pks(top)) == (pks(second), pks(first))
    assert top.newer is None


def test_rows_of_one_instant_keep_their_order_between_pages(alice, short_pages):
    now = timezone.now()
    moments = [now, now, now, now - timedelta(hours=1), now]
    made = [ConnectionFactory(tenant=alice.tenant, opened_at=moment).pk for moment in moments]
    wanted = [made[4], made[2], made[1], made[0], made[3]]
    with alice.acting():
        rows = Connection.objects.all()

        first = stretch(rows)
        second = stretch(rows, before=first.older)
        last = stretch(rows, before=second.older)
        back = stretch(rows, after=last.newer)

    assert pks(first) + pks(second) + pks(last) == wanted
    assert pks(back) == pks(second)


def test_rows_that_arrive_meanwhile_move_no_page(alice, short_pages):
    made = [AuditEntryFactory(tenant=alice.tenant).pk for _ in range(4)]
    with alice.acting():
        first = stretch(AuditEntry.objects.all())
    AuditEntryFactory.create_batch(3, tenant=alice.tenant)

    with alice.acting():
        second = stretch(AuditEntry.objects.all(), before=first.older)

    assert pks(second) == made[1::-1]


@pytest.mark.parametrize("asked", ["", "0", "-1", "x", "²", "9" * 19, "9" * 5000])
def test_address_of_no_row_gives_the_newest(alice, short_pages, asked):
    made = [AuditEntryFactory(tenant=alice.tenant).pk for _ in range(3)]
    with alice.acting():
        rows = AuditEntry.objects.all()

        shown = [pks(stretch(rows, **{side: asked})) for side in ("before", "after")]

    assert shown == [made[:0:-1]] * 2


def test_row_of_another_tenant_starts_no_page(alice, charlie, short_pages):
    made = [AuditEntryFactory(tenant=alice.tenant).pk for _ in range(3)]
    foreign = AuditEntryFactory(tenant=charlie.tenant).pk
    newest = AuditEntryFactory(tenant=alice.tenant).pk

    with alice.acting():
        page = stretch(AuditEntry.objects.all(), before=foreign)

    assert pks(page) == [newest, made[2]]


def test_links_keep_the_filter_and_nothing_is_counted(alice, short_pages):
    for _ in range(5):
        AuditEntryFactory(tenant=alice.tenant, event="plan.approved")
        AuditEntryFactory(tenant=alice.tenant, event="member.added")
    url = reverse(LIST, args=["acme"])

    with CaptureQueriesContext(connection) as queries:
        first = alice.client.get(url, {"event": "plan."})
        older = first.context["page"].older
        second = alice.client.get(url, {"event": "plan.", "before": older})

    assert f"?event=plan.&amp;before={older}" in first.text
    assert 'rel="prev"' not in first.text
    assert {entry.event for entry in second.context["page"]} == {"plan.approved"}
    assert [query["sql"] for query in queries if "COUNT(*)" in query["sql"]] == []
