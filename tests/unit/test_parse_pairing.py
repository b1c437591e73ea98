from ingest.pairing import Half, Pair, Pairer
from ingest.records import RequestLine


def line(
    kind: str, ts_us: int = 1_000_000_000_123, port: int | None = 5, uri: str = "/x", method: str = "GET"
) -> RequestLine:
    return RequestLine(
        *(kind, ts_us, "b1", "/v", "10.0.0.1", 80, "/p", "10.9.9.9", port, "", None, ""),
        *(200 if kind == "response" else None, None, None, method, "h", uri, "", "", "", "", "", False),
    )


def run(*lines: RequestLine, waiting: list[Half] | None = None, response_only: bool = False) -> Pairer:
    pairer = Pairer(waiting or [], response_only=response_only)
    for number, each in enumerate(lines):
        pairer.add(each, number)
    return pairer


def ids(pairer: Pairer) -> list[tuple[int | None, int | None]]:
    return [(pair.request_line_id, pair.response_line_id) for pair in pairer.pairs]


def test_a_request_and_its_response_are_one_pair() -> None:
    pairer = run(line("request"), line("response"))
    assert pairer.pairs == [Pair(line("request"), line("response"), 0, 1)] and not pairer.waiting()


def test_a_keep_alive_connection_has_several() -> None:
    pairer = run(line("request", 10), line("response", 10), line("request", 20), line("response", 20))
    assert ids(pairer) == [(0, 1), (2, 3)]


def test_a_response_may_come_first() -> None:
    assert ids(run(line("response"), line("request"))) == [(1, 0)]


def test_halves_wait_from_batch_to_batch() -> None:
    first = run(line("request"))
    assert first.waiting() == [Half(0, line("request"))]
    second = Pairer(first.waiting())
    second.add(line("response"), 7)
    assert ids(second) == [(0, 7)] and second.waiting() == []


def test_the_same_line_again_is_repeated() -> None:
    pairer = run(line("request"), line("request"), line("response"), line("response"), line("request"))
    assert ids(pairer) == [(0, 2)] and pairer.repeated == [1, 3, 4] and not pairer.waiting()


def test_a_line_repeated_in_the_next_batch_is_known_by_the_last_pairs() -> None:
    first = run(line("request"), line("response"))
    second = Pairer(recent=first.pairs)
    second.add(line("request"), 8)
    second.add(line("response"), 9)
    assert second.repeated == [8, 9] and not second.pairs


def test_without_a_common_time_order_and_uri_decide() -> None:
    pairer = run(
        line("request", 1_000_000, None, "/a"),
        line("request", 1_000_000, None, "/b"),
        line("request", 1_000_000, None, "/a", "POST"),
        line("response", 3_000_000, None, "/b"),
        line("response", 4_000_000, None, "/a"),
        line("response", 4_000_000, None, "/a", "POST"),
    )
    assert ids(pairer) == [(1, 3), (0, 4), (2, 5)] and not pairer.waiting()


def test_the_oldest_of_equal_requests_is_answered_first() -> None:
    pairer = run(line("request", 1_000_000, None), line("request", 2_000_000, None), line("response", 3_000_000, None))
    assert ids(pairer) == [(0, 2)] and [half.line_id for half in pairer.waiting()] == [1]


def test_a_response_before_its_request_in_time_is_not_its_response() -> None:
    pairer = run(line("request", 10_000_000, None), line("response", 5_000_000, None))
    assert not pairer.pairs and len(pairer.waiting()) == 2


def test_a_uri_rewritten_by_an_irule_still_pairs_on_the_exact_key() -> None:
    assert ids(run(line("request", uri="/a"), line("response", uri="/internal/a"))) == [(0, 1)]


def test_response_only_logging_makes_a_row_of_each_response() -> None:
    pairer = run(line("response"), line("response"), response_only=True)
    assert ids(pairer) == [(None, 0)] and pairer.repeated == [1]


def test_every_line_ends_as_exactly_one_thing() -> None:
    lines = [
        line(kind, ts, port, uri)
        for ts in (1, 2)
        for port in (5, None)
        for uri in "ab"
        for kind in ("response", "request")
    ] * 2
    pairer = run(*lines)
    paired = sum((pair.request is not None) + (pair.response is not None) for pair in pairer.pairs)
    assert paired + len(pairer.repeated) + len(pairer.waiting()) == len(lines)


def test_a_template_may_name_the_unit_in_one_of_the_two_lines_only() -> None:
    nameless = line("request", 10_000_000)._replace(hostname="")
    assert ids(run(nameless, line("response", 10_000_000))) == [(0, 1)]
    assert ids(run(line("response", 10_000_000), nameless)) == [(1, 0)]
    other = line("request", 10_000_000)._replace(hostname="b2")
    assert not run(other, line("response", 10_000_000)).pairs  # the other unit of the pair
