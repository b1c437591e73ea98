"""A filter: from an address, back to one, and as a sentence; what cannot be asked is refused with a sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest

from dashboards.fields import LASTS, LISTINGS
from dashboards.filters import Filter, FilterError, like, regex
from dashboards.plain import cell, safe

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def asked(query: dict[str, str], listing: str = "tries") -> Filter:
    return Filter.from_query(query, NOW, listing)


def refused(query: dict[str, str], listing: str = "tries") -> FilterError:
    with pytest.raises(FilterError) as caught:
        asked(query, listing)
    return caught.value


def test_without_a_time_it_is_the_default_of_the_list() -> None:
    assert asked({}, "overview").start == NOW - timedelta(minutes=15)
    assert asked({}, "tries").last == "24h"


def test_two_instants_with_a_zone_are_read_as_utc() -> None:
    one = asked({"from": "2026-03-01T10:00:00+02:00", "to": "2026-03-01T09:00:00Z"})
    assert (one.start.hour, one.end.hour, one.last) == (8, 9, "")


def test_a_plus_that_arrived_as_a_space_is_a_plus() -> None:
    assert asked({"from": "2026-03-01T10:00:00 02:00"}).start.hour == 8


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ({"from": "2026-03-01T10:00:00"}, "from", "no time zone"),
        ({"from": "yesterday"}, "from", "no time"),
        ({"from": "0001-01-01T00:00:00+14:00"}, "from", "out of range"),
        ({"from": "2026-03-02T00:00:00Z"}, "from", "earlier than"),
        ({"from": "2020-03-02T00:00:00Z"}, "from", "days apart"),
        ({"last": "3h"}, "last", "one of 15m"),
        ({"last": "1h", "from": "2026-03-01T10:00:00Z"}, "last", "combined"),
        ({"task_events": "shown"}, "task_events", "Tries cannot be narrowed by task_events"),
        ({"limit": "501"}, "limit", "1 to 500"),
        ({"limit": "-1"}, "limit", "1 to 500"),
        ({"limit": "٣"}, "limit", "1 to 500"),
        ({"sort": "password"}, "sort", "one of: -queued"),
        ({"state": "broken"}, "state", "one of success"),
        ({"culprit": "f5"}, "culprit", "one of route"),
        ({"cause": "x'; drop table"}, "cause", "no_member"),
        ({"dag": "a\x00b"}, "dag", "control character"),
        ({"dag": "a\u202eb"}, "dag", "cannot be seen"),
        ({"dag": "x" * 301}, "dag", "301 characters"),
        ({"after": "x" * 1001}, "after", "1,001 characters"),
        ({"dga": "x"}, "dga", "nearest is “dag”"),
        ({"f5pool": "x"}, "f5pool", "nearest is “f5_pool”"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_sentence(query: dict[str, str], field: str, words: str) -> None:
    error = refused(query)
    assert error.field == field
    assert words in error.sentence


def test_a_field_of_another_list_is_named_as_such() -> None:
    assert "Feeds cannot be narrowed by culprit" in refused({"culprit": "route"}, "sources").sentence


def test_task_events_are_a_word_and_stand_in_the_sentence() -> None:
    assert "one of shown, only" in refused({"task_events": "shown,only"}, "audit").sentence
    assert asked({"task_events": "shown"}, "audit").sentence() == "User actions, the last 24 hours, task events shown"


def test_a_parameter_given_twice_is_refused() -> None:
    class Twice(dict[str, list[str]]):
        def getlist(self, name: str) -> list[str]:
            return self[name]

    with pytest.raises(FilterError, match="given 2 times"):
        Filter.from_query(Twice(dag=["a", "b"]), NOW, "tries")


def test_the_address_gives_the_same_filter_again() -> None:
    one = asked({"dag": "orders_*", "culprit": "service,route", "last": "7d", "limit": "20", "sort": "queued"})
    assert asked(dict(parse_qsl(one.to_query()))) == one


def test_a_link_to_send_holds_two_instants() -> None:
    sent = dict(parse_qsl(asked({"last": "1h", "dag": "x"}).absolute().to_query()))
    later = Filter.from_query(sent, NOW + timedelta(days=3), "tries")
    assert (later.start, later.end) == (NOW - timedelta(hours=1), NOW)


def test_a_changed_question_begins_at_the_first_page() -> None:
    one = asked({"dag": "x", "after": "abc"})
    assert one.without("dag").after == ""
    assert one.with_(dag="y").after == ""
    assert one.page_after("def").after == "def"


def test_the_sentence_says_everything_that_narrows() -> None:
    text = asked({"dag": "orders_*", "culprit": "route,service", "last": "1h"}).sentence()
    assert text == "Tries, the last hour, DAG orders_*, verdict route or service"


def test_each_chip_removes_its_own_field_only() -> None:
    chips = asked({"dag": "x", "f5_pool": "y"}).chips()
    assert [(chip.field, chip.remove) for chip in chips] == [("dag", "f5_pool=y"), ("f5_pool", "dag=x")]


def test_star_is_the_only_wildcard() -> None:
    assert like("50%_*") == r"50\%\_%"
    assert regex("a.b*", path=True) == r"^(.*/)?a\.b.*$"
    assert regex("/Common/a", path=True) == "^/Common/a$"


def test_every_list_knows_its_range_and_orders() -> None:
    for listing in LISTINGS.values():
        assert listing.last in LASTS
        assert asked({}, listing.name).sort == (listing.sorts[0] if listing.sorts else "")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_a_formula_is_made_text(text: str) -> None:
    assert safe(text) == f"'{text}"


def test_numbers_stay_numbers() -> None:
    assert (cell(-1), cell(-0.5), cell(None), cell(True), cell("a-b")) == (-1, -0.5, "", "true", "a-b")
