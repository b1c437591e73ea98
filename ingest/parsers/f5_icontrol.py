"""Answers of iControl REST: pools and members as configured and as they are now, virtual servers, the device's clock.

Keys of statistics are URLs and differ between versions, so trees are walked and never indexed. `items` and `entries`
are absent when there is nothing, which is also what a role without rights gets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ingest.parsers import times
from ingest.parsers.f5_request_fields import number
from ingest.records import MemberState, VirtualServer

_DEEPEST = 40
_HOSTS = re.compile(r"hosts: ?([^;\n]{1,1000})")
_MONITOR = re.compile(r"/[^\s{}]{1,300}")
_HTTP_PROFILE = ("http", "http2", "httprouter", "fasthttp")


def text(value: Any) -> str:
    """A field as text, with `%25` (a route domain in a URL) as `%` again."""
    return value.replace("%25", "%") if isinstance(value, str) else ""


def items(answer: Any) -> list[dict[str, Any]]:
    """The items of a collection; an object alone is its own item."""
    if isinstance(answer, list):
        return [row for row in answer if isinstance(row, dict)]
    if not isinstance(answer, dict):
        return []
    rows = answer.get("items")
    if isinstance(rows, list):
        return [row for row in rows if isinstance(row, dict)]
    return [answer] if "fullPath" in answer or "name" in answer else []


def _nested(node: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """The `entries` of every nestedStats in the tree, and of the tree itself."""
    if depth > _DEEPEST or not isinstance(node, dict):
        return
    entries = node.get("entries")
    if isinstance(entries, dict):
        yield entries
        for child in entries.values():
            if isinstance(child, dict):
                yield from _nested(child.get("nestedStats"), depth + 1)


def _described(entries: dict[str, Any], key: str) -> str:
    value = entries.get(key)
    return text(value.get("description")) if isinstance(value, dict) else ""


def _valued(entries: dict[str, Any], key: str) -> int | None:
    value = entries.get(key)
    found = value.get("value") if isinstance(value, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def parse_pool_members_stats(answer: Any) -> list[MemberState]:
    """/mgmt/tm/ltm/pool/members/stats, or one pool's members' stats: what has nodeName and poolName is a member."""
    members = []
    for entries in _nested(answer):
        node, pool = _described(entries, "nodeName"), _described(entries, "poolName")
        if not node or not pool:
            continue
        port = _valued(entries, "port")
        monitor = _described(entries, "monitorRule")
        members.append(
            MemberState(
                f5_pool=pool,
                member=f"{node}:{port}" if port is not None else node,
                address=_described(entries, "addr"),
                port=port,
                state=_described(entries, "monitorStatus"),
                session=_described(entries, "sessionStatus"),
                monitor="" if monitor == "none" else first_monitor(monitor),
            )
        )
    return members


def first_monitor(said: str) -> str:
    """`min 1 of { /Common/http /Common/inband }` and `/Common/http ` name their first monitor."""
    match = _MONITOR.search(said[:1_000])
    return match.group() if match else said.strip()


def parse_pools(answer: Any) -> list[MemberState]:
    """/mgmt/tm/ltm/pool?expandSubcollections=true: the members as configured, with state and session."""
    members = []
    for pool in items(answer):
        name = text(pool.get("fullPath")) or text(pool.get("name"))
        of_pool = first_monitor(text(pool.get("monitor")))
        for row in items(pool.get("membersReference")) + items(pool.get("members")):
            full = text(row.get("fullPath")) or text(row.get("name"))
            monitor = text(row.get("monitor"))
            members.append(
                MemberState(
                    f5_pool=name,
                    member=full,
                    address=text(row.get("address")),
                    port=split_port(full)[1],
                    state=text(row.get("state")),
                    session=text(row.get("session")),
                    monitor=of_pool if monitor in ("", "default") else first_monitor(monitor),
                )
            )
    return members


def split_port(name: str) -> tuple[str, int | None]:
    """`/Common/10.1.1.1%10:80` or `/Common/2001:db8::1.443` as (address, port)."""
    plain = name.rpartition("/")[2]
    if plain.count(":") > 1 and "." in plain:
        host, _, port = plain.rpartition(".")
    else:
        host, _, port = plain.rpartition(":")
    if port == "any":
        return host, 0
    value = number(port, 65535)
    return (host, value) if host and value is not None else (plain, None)


def parse_virtuals(answer: Any) -> list[VirtualServer]:
    """/mgmt/tm/ltm/virtual?expandSubcollections=true."""
    found = []
    for row in items(answer):
        address, port = split_port(text(row.get("destination")))
        sees_http, logs_requests = _profiles(row)
        found.append(
            VirtualServer(
                name=text(row.get("fullPath")) or text(row.get("name")),
                address=address,
                port=port,
                f5_pool=text(row.get("pool")),
                enabled="disabled" not in row,  # the state is a key, not a value
                hosts=_hosts(text(row.get("description"))),
                sees_http=sees_http,
                logs_requests=logs_requests,
            )
        )
    return found


def _profiles(row: dict[str, Any]) -> tuple[bool, bool]:
    """(sees HTTP, logs requests), from the profiles if the answer has them; else believed until a log denies it."""
    reference = row.get("profilesReference")
    profiles = reference.get("items") if isinstance(reference, dict) else row.get("profiles")
    if isinstance(profiles, dict):
        profiles = [{"name": key} for key in profiles]
    if not isinstance(profiles, list):
        return True, True
    kinds = [_kind(profile) for profile in profiles if isinstance(profile, dict)]
    return any(kind == "http" for kind in kinds), any(kind == "request-log" for kind in kinds)


def _kind(profile: dict[str, Any]) -> str:
    """A virtual server's list names profiles, not their types: the reference's URL tells the type where it is given."""
    reference = profile.get("nameReference")
    link = text(reference.get("link")) if isinstance(reference, dict) else ""
    name = text(profile.get("fullPath")) or text(profile.get("name"))
    short = name.rpartition("/")[2].lower()
    if "/profile/request-log/" in link or "request-log" in short or "request_log" in short or "requestlog" in short:
        return "request-log"
    if any(f"/profile/{kind}/" in link for kind in _HTTP_PROFILE):
        return "http"
    if link:
        return ""
    return "http" if re.search(r"(?:^|[^a-z])http(?:2|s)?(?:$|[^a-z])", short[:256]) else ""


def _hosts(description: str) -> tuple[str, ...]:
    """`hosts: a.example, b.example:8443; …` in a description: a hint that people can leave for us."""
    match = _HOSTS.search(description)
    if not match:
        return ()
    return tuple(
        host for host in (part.strip().lower() for part in match.group(1).split(",")) if host and " " not in host
    )


def parse_clock(answer: Any) -> datetime | None:
    """/mgmt/tm/sys/clock: what the device takes for now."""
    for entries in _nested(answer):
        said = _described(entries, "fullDate")
        if said:
            return times.any_time(said)
    return None
