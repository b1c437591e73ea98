"""Answers of iControl REST: pools and members as configured and as they are now, virtual servers, the device's clock.

Keys of statistics are URLs and differ between versions, so trees are walked and never indexed. `items` and `entries`
are absent when there is nothing, which is also what a role without rights gets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from ingest.device_records import Profile
from ingest.parsers import times
from ingest.parsers.f5_header import clean
from ingest.parsers.f5_request_fields import number
from ingest.records import MemberState, VirtualServer

_DEEPEST = 40
_HOSTS = re.compile(r"hosts: ?([^;\n]{1,1000})")
_MONITOR = re.compile(r"/[^\s{}]{1,300}")
_PROFILE = re.compile(r"/profile/([a-z0-9-]{1,60})/")
HTTP_PROFILES = ("http", "http2", "httprouter", "fasthttp")


def text(value: Any) -> str:
    """A field as text that can be stored, with `%25` (a route domain in a URL) as `%` again."""
    return clean(value).replace("%25", "%") if isinstance(value, str) else ""


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


def nested(node: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """The `entries` of every nestedStats in the tree, and of the tree itself."""
    if depth > _DEEPEST or not isinstance(node, dict):
        return
    entries = node.get("entries")
    if isinstance(entries, dict):
        yield entries
        for child in entries.values():
            if isinstance(child, dict):
                yield from nested(child.get("nestedStats"), depth + 1)


def described(entries: dict[str, Any], key: str) -> str:
    """A text of the statistics."""
    value = entries.get(key)
    return text(value.get("description")) if isinstance(value, dict) else ""


def valued(entries: dict[str, Any], key: str) -> int | None:
    """A number of the statistics."""
    value = entries.get(key)
    found = value.get("value") if isinstance(value, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def parse_pool_members_stats(answer: Any) -> list[MemberState]:
    """/mgmt/tm/ltm/pool/members/stats, or one pool's members' stats: what has nodeName and poolName is a member."""
    members = []
    for entries in nested(answer):
        node, pool = described(entries, "nodeName"), described(entries, "poolName")
        if not node or not pool:
            continue
        port = valued(entries, "port")
        monitor = described(entries, "monitorRule")
        members.append(
            MemberState(
                f5_pool=pool,
                member=f"{node}{'.' if ':' in node else ':'}{port}" if port is not None else node,
                address=described(entries, "addr"),
                port=port,
                state=described(entries, "monitorStatus"),
                session=described(entries, "sessionStatus"),
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


def parse_virtuals(answer: Any, kinds: Mapping[str, str] | None = None) -> list[VirtualServer]:
    """/mgmt/tm/ltm/virtual?expandSubcollections=true.

    `kinds`: the type of profiles by full path, for versions whose answers do not tell it.
    """
    found = []
    for row in items(answer):
        address, port = split_port(text(row.get("destination")))
        told = profiles(row, kinds or {})
        # What the answer does not tell is believed until a log denies it.
        sees_http = told is None or any(_is_http(one) for one in told)
        found.append(
            VirtualServer(
                name=text(row.get("fullPath")) or text(row.get("name")),
                address=address,
                port=port,
                f5_pool=none(row, "pool"),
                enabled="disabled" not in row,  # the state is a key, not a value
                hosts=_hosts(text(row.get("description"))),
                sees_http=sees_http,
                logs_requests=told is None or any(is_request_log(one) for one in told),
                profiles=told,
                policies=attached(row, "policies"),
                rules=attached(row, "rules"),
            )
        )
    return found


def none(row: Mapping[str, Any], name: str) -> str:
    """A field as text; `none` is how some versions say that there is nothing."""
    found = text(row.get(name))
    return "" if found == "none" else found


def names(row: Mapping[str, Any]) -> str:
    """The full path of an object."""
    return text(row.get("fullPath")) or text(row.get("name"))


def expanded(row: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """A subcollection that was expanded, or an old version's plain list."""
    return items(row.get(f"{name}Reference")) or items(row.get(name))


def attached(row: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Full paths of the policies (a subcollection) or rules (a list of paths) of a virtual server."""
    listed = row.get(name)
    if isinstance(listed, list) and all(isinstance(one, str) for one in listed):
        return tuple(text(one) for one in listed)
    return tuple(filter(None, (names(one) for one in expanded(row, name))))


def profiles(row: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[Profile, ...] | None:
    """The profiles of a virtual server; None where the answer does not tell them (they were not expanded)."""
    reference, plain = row.get("profilesReference"), row.get("profiles")
    if not (isinstance(reference, dict) and "items" in reference) and not isinstance(plain, (list, dict)):
        return None
    rows = [{"name": name} for name in plain] if isinstance(plain, dict) else expanded(row, "profiles")
    return tuple(Profile(names(one), _kind(one, kinds), text(one.get("context"))) for one in rows if names(one))


def _kind(profile: Mapping[str, Any], kinds: Mapping[str, str]) -> str:
    """The reference's URL tells the type; old versions name profiles alone."""
    reference = profile.get("nameReference")
    link = text(reference.get("link")) if isinstance(reference, dict) else ""
    match = _PROFILE.search(link[:1_000])
    return match.group(1) if match else kinds.get(names(profile), "")


def _is_http(profile: Profile) -> bool:
    if profile.kind:
        return profile.kind in HTTP_PROFILES
    return bool(re.search(r"(?:^|[^a-z])http(?:2|s)?(?:$|[^a-z])", profile.name.rpartition("/")[2].lower()[:256]))


def is_request_log(profile: Profile) -> bool:
    """Whether this is a request-log profile, by its type or, where that is not told, by its name."""
    short = re.sub(r"[^a-z]", "", profile.name.rpartition("/")[2].lower()[:256])
    return profile.kind == "request-log" or (not profile.kind and "requestlog" in short)


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
    for entries in nested(answer):
        said = described(entries, "fullDate")
        if said:
            return times.any_time(said)
    return None
