from datetime import UTC, datetime, timedelta

import pytest

from ingest.parsers import f5_header, times

NEAR = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Oct 13 01:55:19 host", "2026-10-13T01:55:19+00:00"),
        ("Nov  1 01:55:19 host", "2026-11-01T01:55:19+00:00"),
        ("Nov 10 00:56:49.244 host", "2026-11-10T00:56:49.244+00:00"),
        ("2018-06-14T10:02:05-07:00 host", "2018-06-14T17:02:05+00:00"),
        ("2020-04-14T14:39:05.271965+00:00 h", "2020-04-14T14:39:05.271965+00:00"),
        ("10-13 01:55:19 notice", "2026-10-13T01:55:19+00:00"),
        ("2020-01-26T08:42:48Z", "2020-01-26T08:42:48+00:00"),
    ],
)
def test_every_header_form_gives_its_instant(text: str, expected: str) -> None:
    found = times.stamp(text, 0, NEAR)
    assert found is not None and found[0] == at(expected)


@pytest.mark.parametrize("text", ["Foo 13 01:55:19", "Feb 30 01:55:19", "13-45 01:55:19", "Oct 13 25:55:19", "", "x"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert times.stamp(text, 0, NEAR) is None


def test_a_december_line_received_in_january_is_of_last_year() -> None:
    january = datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert times.stamp("Dec 31 23:59:59 h", 0, january) == (at("2025-12-31T23:59:59+00:00"), 15)
    december = datetime(2025, 12, 31, 23, 59, 58, tzinfo=UTC)
    assert times.stamp("Jan  1 00:00:01 h", 0, december) == (at("2026-01-01T00:00:01+00:00"), 15)


def test_the_zone_of_a_device_is_an_argument() -> None:
    found = times.stamp("Oct 13 01:55:19 h", 0, NEAR, timedelta(hours=2))
    assert found is not None and found[0] == at("2026-10-12T23:55:19+00:00")


def test_the_year_of_a_last_error_wins_over_the_time_of_receipt() -> None:
    line = (
        "Dec 31 23:59:59 h notice mcpd[1]: 01070638:5: Pool /C/p member /C/m:80 monitor status down. [ /C/x: "
        "down; last error: /C/x: no @2024/01/01 00:00:00.  ]"
    )
    assert f5_header.parse(line, NEAR).at == at("2023-12-31T23:59:59+00:00")


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1795339510.052000", 1795339510_052000),
        ("1795339510.52000", 1795339510_052000),
        ("1795339510.7", 1795339510_000007),
        ("1795339510", 1795339510_000000),
        ("1641802981570", 1641802981_570000),
        ("1594100235370475", 1594100235_370475),
        ("", None),
        ("12a.5", None),
        ("١٢", None),
    ],
)
def test_epoch_fractions_without_padding(text: str, micros: int | None) -> None:
    assert times.epoch_us(text) == micros


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fri, 28 Feb 2020 12:00:00 GMT", "2020-02-28T12:00:00+00:00"),
        ("[28/Feb/2020:12:00:00 +0200]", "2020-02-28T10:00:00+00:00"),
        ("2019-01-01:01:01.000Z", "2019-01-01T00:00:00+00:00"),
        ("Fri Jan 17 09:44:10 2020", "2020-01-17T09:44:10+00:00"),
        ("2019/12/12 15:54:12", "2019-12-12T15:54:12+00:00"),
    ],
)
def test_times_of_events(text: str, expected: str) -> None:
    assert times.any_time(text) == at(expected)


HEADERS = [
    ("Oct 13 01:55:19 host notice mcpd[5105]: 01070727:5: text", "host", "notice", "mcpd", 5105, "01070727", "text"),
    ("<133>Nov  1 01:55:19 host notice mcpd[5]: 01070727:5: t", "host", "notice", "mcpd", 5, "01070727", "t"),
    ("<166> Jan 17 01:55:19 host err syslog-ng[34]: t", "host", "err", "syslog-ng", 34, "", "t"),
    ("10-13 01:55:19 notice host mcpd[5]: 010719e7:5: t", "host", "notice", "mcpd", 5, "010719e7", "t"),
    ("Oct 27 22:13:10 172.26.243.123 Oct 27 22:13:10 S21 notice mcpd[7]: t", "S21", "notice", "mcpd", 7, "", "t"),
    (
        "Aug  3 13:45:46 LTM1 LTM1 tmm[10780]: 2017-08-03 13:45:10 q",
        "LTM1",
        "",
        "tmm",
        10780,
        "",
        "2017-08-03 13:45:10 q",
    ),
    ("Jan 16 02:41:14 f5-ltm mcpd[6896]: 01070727:5: t", "f5-ltm", "notice", "mcpd", 6896, "01070727", "t"),
    ("Jan 17 03:35:18 slot1/host notice tmsh[1]: 01420002:5: t", "host", "notice", "tmsh", 1, "01420002", "t"),
    ("ltm Oct 13 01:55:19 host notice mcpd[5]: 01070727:5: t", "host", "notice", "mcpd", 5, "01070727", "t"),
    ("audit <133> Oct 13 01:55:19 host notice mcpd[5]: t", "host", "notice", "mcpd", 5, "", "t"),
    ("Oct 13 01:55:19 host warning -c[1]: 01260013:4: t", "host", "warning", "-c", 1, "01260013", "t"),
    ("Oct 13 01:55:19 host info httpd(pam_audit)[1]: t", "host", "info", "httpd(pam_audit)", 1, "", "t"),
    (
        "Oct 13 01:55:19 host notice run-parts(/etc/cron.hourly)[1]: t",
        "host",
        "notice",
        "run-parts(/etc/cron.hourly)",
        1,
        "",
        "t",
    ),
    (
        "Oct 28 03:36:30 gtm1 Saving running configuration...",
        "gtm1",
        "",
        "",
        None,
        "",
        "Saving running configuration...",
    ),
    ("tmm3[20358]: 01260009:4: t", "", "warning", "tmm3", 20358, "01260009", "t"),
    ("notice sshd[15293]: pam_unix", "", "notice", "sshd", 15293, "", "pam_unix"),
    (
        '<141>1 2020-04-14T14:39:05.271965+00:00 f5.com apmd 7389 01490248:5: [F5@12276 hostname="f" a="x]\\"y"] text',
        *("f5.com", "notice", "apmd", 7389, "01490248", "text"),
    ),
]


@pytest.mark.parametrize(("line", "host", "severity", "process", "pid", "message_id", "text"), HEADERS)
def test_every_form_of_a_head(
    line: str, host: str, severity: str, process: str, pid: int | None, message_id: str, text: str
) -> None:
    found = f5_header.parse(line, NEAR)
    assert (found.hostname, found.severity, found.process, found.pid) == (host, severity, process, pid)
    assert (found.message_id, found.text) == (message_id, text)


def test_a_spool_line_is_taken_apart_and_a_bare_one_is_not() -> None:
    found = f5_header.split_spool("2026-11-22T09:25:10.052Z 10.0.0.245 <133>Nov 22 09:25:10 h notice x[1]: t")
    assert found == (at("2026-11-22T09:25:10.052+00:00"), "10.0.0.245", "<133>Nov 22 09:25:10 h notice x[1]: t")
    assert f5_header.split_spool("2018-06-14T10:02:05-07:00 10.0.0.1 notice mcpd[1]: x") is None
    assert f5_header.split_spool("Nov 22 09:25:10 h notice x[1]: t") is None


def test_a_relays_time_gives_the_year_of_the_devices() -> None:
    line = "2019-10-27T22:13:11+00:00 relay Oct 27 22:13:10 b1 notice mcpd[1]: x"
    found = f5_header.parse(line, NEAR)
    assert (found.at, found.hostname) == (at("2019-10-27T22:13:10+00:00"), "b1")
