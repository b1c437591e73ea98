"""Incidents over time: from when to when they last, what opens one, what their rows say, and none of them flaps."""

from __future__ import annotations

from datetime import datetime, timedelta

from ingest import actions, models
from ingest.incidents.extent import IDLE, QUIET
from ingest.incidents.groups import LEAST_OUT
from ingest.incidents.update import update
from ingest.models import Incident
from tests import world
from tests.incident_world import a_hit, an_event, asked, at, feeds, one, standing  # noqa: F401
from tests.world import NOW

# From when to when


def test_the_onset_is_dated_from_requests_of_others_before_the_first_try() -> None:
    asked(-600, 0)
    asked(0, 300, bad=True)
    asked(300, 600)
    a_hit(200)
    update("", NOW)
    found = one()
    assert (found.start, found.first_hit_at, found.noticed_at) == (at(0), at(200), None)
    assert found.onset["kind"] == "request" and found.onset["before"][0] == 0
    assert found.onset["since"][0] == 60
    assert found.end == at(295) + timedelta(milliseconds=20)
    assert found.ending["kind"] == "request" and found.ending["at"].startswith(at(300).isoformat()[:19])
    assert found.reach["others_failed"] == 60 and found.reach["others_clients"] == 1


def test_a_monitor_notices_later_and_says_when_it_is_over() -> None:
    asked(-300, 0)
    asked(0, 20, bad=True)
    a_hit(5, "member_down")
    an_event(20, "down", reason="Unable to connect")
    an_event(80, "up")
    update("", NOW)
    found = one()
    assert (found.start, found.noticed_at, found.end) == (at(0), at(20), at(80))
    assert found.ending["says"] == "orders1:9000: up" and found.ending["raw"].endswith("up")
    assert (found.messages, found.reach["airflow_messages"], found.reach["f5_messages"]) == (3, 1, 2)


def test_an_incident_stays_open_until_its_component_was_seen_well_for_a_while() -> None:
    request = models.Feed.objects.get(name="bigip-1/request")

    def state(known: datetime) -> bool:
        request.complete_to = known
        request.save()
        update("", NOW)
        return one().end is not None

    asked(0, 30, bad=True)
    a_hit(28)
    last = at(30)  # its try ended
    assert not state(last + QUIET / 2), "no logs yet that could say so"
    assert not state(last + QUIET), "silence is no recovery"
    assert not state(last + IDLE - timedelta(seconds=1))
    assert state(last + IDLE), "nothing was asked of it for long, and nothing is missing"
    assert one().ending["kind"] == "silence"


def test_silence_over_a_gap_proves_no_recovery() -> None:
    request = models.Feed.objects.get(name="bigip-1/request")
    models.Gap.objects.create(feed=request, start=at(100), end=at(200), reason="no receiver")
    asked(0, 30, bad=True)
    a_hit(28)
    update("", NOW)
    assert one().end is None
    asked(300, 301)
    update("", NOW)
    assert one().end is not None, "but an answer does"


def test_the_same_trouble_within_ten_minutes_opens_the_same_incident_again() -> None:
    asked(0, 10, bad=True)
    asked(60, 70)
    a_hit(5)
    update("", NOW)
    was = one()
    assert was.end is not None
    a_hit(500)
    update("", NOW)
    assert (one().pk, one().tries) == (was.pk, 2)
    a_hit(1200)
    update("", NOW)
    assert len(standing()) == 2


def test_hits_an_hour_apart_are_one_incident_if_the_component_failed_others_all_the_time() -> None:
    a_hit(0)
    a_hit(1800)
    asked(-60, 1860, every=15, bad=True)
    update("", NOW)
    assert (one().tries, one().start) == (2, at(-60))


def test_hits_an_hour_apart_are_two_incidents_if_the_component_was_well_between() -> None:
    a_hit(0)
    a_hit(1800)
    asked(0, 600, every=15, bad=True)
    asked(600, 1200, every=15)
    asked(1200, 1860, every=15, bad=True)
    update("", NOW)
    assert [(i.tries, i.start) for i in standing()] == [(1, at(0)), (1, at(1200))]


def test_what_a_gap_may_hide_does_not_make_two_hits_an_hour_apart_one_incident() -> None:
    request = models.Feed.objects.get(name="bigip-1/request")
    a_hit(0)
    a_hit(1800)
    asked(-60, 1860, every=15, bad=True)
    models.Gap.objects.create(feed=request, start=at(900), end=at(960), reason="no receiver")
    update("", NOW)
    assert [i.tries for i in standing()] == [1, 1]


def test_what_nobody_answered_names_no_cause_that_could_go_on_for_an_hour() -> None:
    a_hit(0, "unanswered")
    a_hit(1800, "unanswered")
    asked(-60, 1860, every=15, bad=True)
    update("", NOW)
    assert [i.tries for i in standing()] == [1, 1]


def test_a_member_that_fails_now_and_then_is_not_well_after_one_good_answer() -> None:
    request = models.Feed.objects.get(name="bigip-1/request")

    def state(known: float) -> bool:
        request.complete_to = at(known)
        request.save()
        update("", NOW)
        return one().end is not None

    asked(-600, 0)
    asked(0, 60, every=20, bad=True)
    asked(10, 60, every=20)
    a_hit(40)
    asked(100, 101)
    assert not state(180), "it answers half of its requests well while it fails"
    asked(121, 221)
    assert state(240)


# What opens one


def test_a_blip_opens_nothing_and_a_drained_member_neither() -> None:
    an_event(0, "down")
    an_event(LEAST_OUT.total_seconds() - 1, "up")
    an_event(100, "forced_disabled", "/Common/orders2:9000")
    an_event(110, "down", "/Common/orders2:9000")
    an_event(900, "up", "/Common/orders2:9000")
    update("", NOW)
    assert standing() == []


def test_a_member_that_was_drained_before_the_window_is_still_drained() -> None:
    an_event(-30 * 3600, "forced_disabled")
    an_event(0, "down")
    update("", NOW)
    assert standing() == []


def test_an_outage_that_hit_nobody_is_an_incident_that_says_so() -> None:
    an_event(0, "down")
    an_event(600, "up")
    update("", NOW)
    assert (one().tries, one().first_hit_at, one().cause) == (0, None, "member_down")
    assert one().onset["kind"] == "health_event"


# The rows


def test_a_failover_has_one_parent_and_its_parts_stay_rows() -> None:
    for n, route in enumerate(("orders", "reports", "prices")):
        a_hit(n, "failover", route)
        a_hit(n + 5, "failover", route)
    update("", NOW)
    parent = Incident.objects.get(parent=None)
    assert (parent.component_kind, parent.component, parent.tries) == ("device", "bigip", 6)
    children = list(Incident.objects.filter(parent=parent))
    assert {c.f5_pool.name for c in children if c.f5_pool} == {
        f"/Common/pool_{r}" for r in ("orders", "reports", "prices")
    }
    assert parent.messages == sum(c.messages for c in children) == 6
    assert parent.reach["dags"] == ["dag_orders", "dag_prices", "dag_reports"]
    update("", NOW)
    assert Incident.objects.get(parent=None).pk == parent.pk


def test_an_overload_and_what_the_api_suffers_by_it_have_one_parent_named_by_the_overload() -> None:
    a_hit(0, "api_unreachable", "api")
    a_hit(20, "device_overload", "reports")
    later = a_hit(400, "api_unreachable", "api")
    update("", NOW)
    (parent,) = Incident.objects.filter(component="bigip")
    assert (parent.cause, parent.tries, parent.start) == ("device_overload", 2, at(0))
    later.refresh_from_db()
    assert later.incident is not None and later.incident.parent_id is None


def test_a_parent_that_is_left_with_one_part_goes() -> None:
    first, other = a_hit(0, "failover"), a_hit(1, "failover", "reports")
    update("", NOW)
    assert Incident.objects.count() == 3
    other.delete()
    update("", NOW)
    assert (one().parent_id, one().component_kind) == (None, "device")
    first.refresh_from_db()
    assert first.incident_id == one().pk


def test_a_verdict_that_blames_nobody_any_more_leaves_its_incident() -> None:
    kept, changed = a_hit(0), a_hit(5)
    update("", NOW)
    models.Verdict.objects.filter(pk=changed.pk).update(culprit="task", cause="task_error")
    update("", NOW)
    changed.refresh_from_db()
    assert (one().tries, changed.incident_id) == (1, None)
    models.Verdict.objects.filter(pk=kept.pk).update(culprit="unknown", cause="undecided")
    update("", NOW)
    assert standing() == []


def test_what_people_wrote_on_outlives_its_evidence_and_comes_back_with_it() -> None:
    hit = a_hit(0)
    update("", NOW)
    number = one().pk
    actions.add_note(number, "we look at orders1", "ann")
    models.Verdict.objects.filter(pk=hit.pk).update(culprit="task")
    update("", NOW)
    found = one()
    assert found.withdrawn_at is not None and found.end is not None and found.tries == 0
    models.Verdict.objects.filter(pk=hit.pk).update(culprit="route")
    update("", NOW)
    assert (one().withdrawn_at, one().tries, one().pk) == (None, 1, number)


def test_two_incidents_that_turn_out_to_be_one_leave_one_address_leading_to_the_other() -> None:
    a_hit(0)
    a_hit(1100)
    update("", NOW)
    first, last = standing()
    a_hit(550)
    update("", NOW)
    found = one()
    gone = last if found.pk == first.pk else first
    gone.refresh_from_db()
    assert (gone.merged_into_id, found.tries) == (found.pk, 3)


def test_a_late_verdict_of_yesterday_still_finds_its_incident() -> None:
    day = 26 * 3600
    a_hit(-day, judged_at=NOW - timedelta(hours=25))
    update("", at(-day + 900))
    old = one()
    a_hit(-day + 60, judged_at=NOW)
    update("", NOW)
    assert (one().pk, one().tries) == (old.pk, 2)


def test_the_fingerprint_is_the_cause_and_the_component() -> None:
    a_hit(-3000)
    a_hit(0)
    a_hit(1200, "slow_member")
    a_hit(2000, "member_grey", "reports")
    update("", NOW)
    prints = [i.fingerprint for i in standing()]
    assert prints[0] == prints[1] and len(set(prints)) == 3


def test_reach_names_pools_runs_and_who_asks_the_same_members() -> None:
    tried = a_hit(0).try_row
    models.DagRun.objects.create(airflow=tried.airflow, dag_id=tried.dag_id, run_id=tried.run_id, start_at=at(-60))
    other = models.Try.objects.create(
        airflow=tried.airflow, dag_id="reader", run_id="r1", task_id="t", try_number=1, state="running", seen_at=NOW
    )
    models.DagRun.objects.create(airflow=tried.airflow, dag_id="reader", run_id="r1", start_at=at(-30))
    models.DagRun.objects.create(airflow=tried.airflow, dag_id="elsewhere", run_id="r2", start_at=at(-30))
    world.a_request(world.a_route(), at(-20), of=other)
    shared = world.a_route("shared")  # its member has the same address and port
    update("", NOW)
    reach = one().reach
    assert (reach["dags"], reach["airflow_pools"], reach["runs"]) == (["dag_orders"], ["default_pool"], 1)
    assert (reach["runs_in_flight"], reach["dags_in_flight"]) == (2, ["dag_orders", "reader"])
    assert reach["shared_endpoints"] == [shared.name]
