"""Lines of ltm and audit logs to rows: several lines of one message, and one change told many times."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from airf5.accounts.models import UserAction
from ingest import models
from ingest.models import Feed, HealthEvent
from ingest.store import f5
from ingest.store.feeds import Counts, Line

NOW = timezone.now().replace(microsecond=0)
DOWN = "01070638:5: Pool /Common/p member /Common/10.1.1.51:80 monitor status down."
UP = "01070727:5: Pool /Common/p member /Common/10.1.1.51:80 monitor status up."


def a_feed(name: str, group: models.DeviceGroup) -> Feed:
    device = models.Device.objects.create(name=name, group=group)
    return Feed.objects.create(name=f"{name} ltm", kind=Feed.Kind.F5_LTM, device=device)


@pytest.fixture
def pair(db: None) -> tuple[Feed, Feed]:
    group = models.DeviceGroup.objects.create(name="pair")
    return a_feed("lb1", group), a_feed("lb2", group)


def said(text: str, after: float = 0, process: str = "mcpd") -> str:
    """One line that the device wrote so many seconds after NOW."""
    at = NOW + timedelta(seconds=after)
    return f"{at.isoformat()} lb1 notice {process}[1]: {text}"


def save(feed: Feed, *messages: str, sender: str = "10.0.0.1") -> Counts:
    """Save these messages as lines of one spool file."""
    first = models.SpoolFile.objects.create(feed=feed, path="f", fingerprint=str(models.SpoolFile.objects.count())).pk
    lines = [
        Line(first << 40 | n * 1000, NOW, f"{NOW.isoformat()} {sender} {message}") for n, message in enumerate(messages)
    ]
    counts = f5.save_lines(feed, lines, None, None)
    assert counts.read == counts.rows + counts.halves + counts.repeated + len(counts.rejects)
    return counts


def test_a_trace_belongs_to_the_error_before_it(pair: tuple[Feed, Feed]) -> None:
    error = said("01220001:3: TCL error: /Common/r <HTTP_REQUEST> - ERR_NOT_SUPPORTED (line 8)", process="tmm")
    counts = save(pair[0], error, "    invoked from within", '"HTTP::method"', said(DOWN))
    assert (counts.rows, counts.rejects) == (4, [])
    event = HealthEvent.objects.get(state="rule_error")
    assert event.reason == 'ERR_NOT_SUPPORTED (line 8) invoked from within "HTTP::method"'
    assert event.raw.endswith('\n    invoked from within\n"HTTP::method"')


def test_an_audit_line_that_holds_an_irule_is_one_action(pair: tuple[Feed, Feed]) -> None:
    head = said("01070417:5: AUDIT - client tmsh, user admin - transaction #7-2 - object 0 - modify { rule { ")
    lines = (
        head + 'rule_name "/Common/r" rule_definition "when HTTP_REQUEST {',
        "set x 1",
        'HTTP::respond 200 password hunter2"',
        "} } [Status=Command OK]",
        said(DOWN),
    )
    counts = save(pair[0], *lines)
    assert (counts.rows, counts.rejects) == (5, [])
    action = UserAction.objects.get(layer="f5")
    assert (action.verb, action.target, action.result) == ("modify", "/Common/r", "ok")
    assert "hunter2" not in repr(action.__dict__)


def test_a_trace_whose_error_came_with_an_earlier_chunk_is_kept(pair: tuple[Feed, Feed]) -> None:
    counts = save(pair[0], "    invoked from within", said(DOWN))
    assert (counts.rows, counts.rejects) == (2, [])
    assert "invoked from within" in models.F5Message.objects.get().text


def test_a_stranger_between_the_lines_is_rejected_and_swallows_nothing(pair: tuple[Feed, Feed]) -> None:
    counts = save(pair[0], "hello", "  world", said(DOWN), "hello again")
    assert [reject.raw.split(" ", 2)[2] for reject in counts.rejects] == ["hello", "hello again"]
    assert HealthEvent.objects.get().raw.endswith("down.")


def test_a_change_that_all_tmms_tell_is_one_event(pair: tuple[Feed, Feed]) -> None:
    text = "01010028:3: No members available for pool /Common/p"
    counts = save(pair[0], *(said(text, process=f"tmm{n}") for n in range(4)))
    assert (counts.rows, counts.repeated) == (1, 3)
    assert HealthEvent.objects.get().count == 4


def test_an_irule_that_fails_two_connections_of_one_second_is_two_events(pair: tuple[Feed, Feed]) -> None:
    text = (
        "01220001:3: TCL error: /Common/r <HTTP_REQUEST> - Illegal value aborted for 192.0.2.{}:4000 -> 192.0.2.5:443"
    )
    counts = save(pair[0], *(said(text.format(n), process="tmm") for n in (7, 8, 8)))
    assert (counts.rows, counts.repeated) == (2, 1)


def test_a_change_that_both_units_of_a_pair_tell_is_one_event(pair: tuple[Feed, Feed]) -> None:
    save(pair[0], said(DOWN))
    counts = save(pair[1], said(DOWN, after=9))
    assert (counts.rows, counts.repeated) == (0, 1)
    event = HealthEvent.objects.get()
    assert (event.count, event.device.name, event.detail["also_told_by"]) == (2, "lb1", ["lb2"])
    assert save(pair[1], said(UP, after=12)).rows == 1
    assert save(pair[1], said(DOWN, after=14)).rows == 1  # after a change in between it is news
    assert HealthEvent.objects.count() == 3


def test_another_pair_is_another_matter(pair: tuple[Feed, Feed]) -> None:
    other = a_feed("lb9", models.DeviceGroup.objects.create(name="other"))
    save(pair[0], said(DOWN))
    assert save(other, said(DOWN)).rows == 1


def test_what_a_unit_says_of_itself_is_not_its_peers(pair: tuple[Feed, Feed]) -> None:
    active = "010c0053:5: Active for traffic group /Common/traffic-group-1."
    save(pair[0], said(active, process="sod"))
    assert save(pair[1], said(active, process="sod")).rows == 1


def test_a_repetition_that_a_relay_counted_is_counted(pair: tuple[Feed, Feed]) -> None:
    save(pair[0], said(DOWN), said(f"message repeated 3 times: [ {DOWN}]", after=1))
    assert HealthEvent.objects.get().count == 4


def test_lost_messages_are_counted_once_however_often_the_notice_comes(pair: tuple[Feed, Feed]) -> None:
    notice = "01010201:2: Re-enabling general logging; held 26 messages."
    save(pair[0], said(notice, process="tmm"))
    save(pair[0], said(notice, process="tmm"), sender="10.0.0.2")
    assert HealthEvent.objects.get().count == 26
    save(pair[0], said(notice.replace("26", "4"), after=1, process="tmm"))
    assert HealthEvent.objects.get().count == 30


def test_a_pool_of_gslb_is_no_pool_of_ltm(pair: tuple[Feed, Feed]) -> None:
    text = "SNMP_TRAP: Pool /Common/p member vs_1 (ip:port=10.1.1.51:80) state change green --> red"
    save(pair[0], said(f"011a4003:1: {text}", process="gtmd"))
    event = HealthEvent.objects.get()
    assert (event.f5_pool, event.member, event.object) == (None, None, "/Common/p 10.1.1.51:80")
    assert not models.F5Pool.objects.exists()
