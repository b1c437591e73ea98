"""A filter, from any address: it can be asked or it is refused with a sentence."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from dashboards.filters import Filter, FilterError

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@given(
    st.dictionaries(st.sampled_from(["dag", "from", "to", "last", "limit", "after", "state", "sort", "x"]), st.text())
)
def test_any_query_gives_a_filter_or_a_refusal(query: dict[str, str]) -> None:
    try:
        one = Filter.from_query(query, NOW, "tries")
    except FilterError as error:
        assert error.sentence.endswith(".")
    else:
        assert one.start < one.end
        assert one.sentence()
