"""Where a source may be called: what is denied, what a range opens, and that nobody calls past the guard."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ingest.sources import guard

METADATA = "169.254.169.254"


@pytest.mark.parametrize(
    ("address", "allow", "words"),
    [
        ("10.1.2.3", [], ""),
        ("192.168.1.4", [], ""),
        ("2001:db8::1", [], ""),
        ("10.1.2.3", ["10.1.0.0/16"], ""),
        ("10.2.2.3", ["10.1.0.0/16"], "not in the address ranges"),
        ("10.2.2.3", ["2001:db8::/32"], "not in the address ranges"),
        ("127.0.0.1", [], "loopback"),
        ("127.8.8.8", ["10.0.0.0/8"], "loopback"),
        ("127.0.0.1", ["127.0.0.1/32"], ""),
        ("127.0.0.2", ["127.0.0.1/32"], "loopback"),
        ("127.0.0.1", ["0.0.0.0/0"], "loopback"),
        ("::1", [], "loopback"),
        ("::1", ["::/0"], "loopback"),
        ("::1", ["::1/128"], ""),
        ("::ffff:127.0.0.1", [], "loopback"),
        ("::ffff:127.0.0.1", ["127.0.0.0/8"], ""),
        ("::ffff:10.1.2.3", ["10.1.0.0/16"], ""),
        ("2002:7f00:1::", [], "loopback"),
        ("64:ff9b::a9fe:a9fe", [], "link-local"),
        ("2001:0:7f00:1::", [], "loopback"),
        (METADATA, [], "link-local"),
        (METADATA, ["169.0.0.0/8"], "link-local"),
        ("fe80::1%eth0", [], "link-local"),
        ("fd00:ec2::254", [], "metadata"),
        ("fd20:ce::254", ["fd00::/8"], "metadata"),
        ("fd00:c1::a9fe:a9fe", [], "metadata"),
        ("fd00:42::42", [], "metadata"),
        ("fd20:ce::253", [], ""),
        ("100.100.100.200", [], "metadata"),
        ("168.63.129.16", ["168.63.0.0/16"], "metadata"),
        ("0.0.0.0", [], "no address of a host"),
        ("::", [], "no address of a host"),
        ("224.0.0.1", [], "multicast"),
        ("255.255.255.255", [], "reserved"),
        ("airflow", [], "no IP address"),
    ],
)
def test_what_an_address_is_refused_for(address: str, allow: list[str], words: str) -> None:
    refused = guard.refusal(address, allow)
    assert words in refused if words else refused == ""


def test_no_other_module_makes_a_client_that_the_guard_does_not_see() -> None:
    root = Path(__file__).resolve().parents[2]
    makes = re.compile(
        r"httpx\.(Client|AsyncClient|HTTPTransport|get|post|stream|request)\(|urlopen\(|import (requests|aiohttp)"
    )
    found = {
        str(path.relative_to(root))
        for folder in ("airf5", "ingest", "dashboards")
        for path in (root / folder).rglob("*.py")
        if makes.search(path.read_text("utf-8"))
    }
    assert found == {"ingest/sources/http.py", "airf5/demo/management/commands/demo.py"}  # the demo asks its own page
