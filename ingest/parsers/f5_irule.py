"""Which pools, virtual servers and nodes an iRule names, and where it answers by itself.

Tcl is not run: the text is read for commands that choose. A name that is computed (`pool $name`) is a choice without a
target. A rule that hides its choice in `eval` or a procedure is not seen through.
"""

from __future__ import annotations

import re

from ingest.device_records import Choice

_MOST = 500  # choices of one rule that are kept
_LONGEST_TEXT = 1 << 20  # TMOS takes no rule that long
_LONGEST_LINE = 2_000

_EVENT = re.compile(r"\bwhen\s+([A-Z][A-Z0-9_]{2,60})\b")
# A command stands at the beginning of a line or behind one of { [ ; while `[LB::server pool]` and `set x [virtual name]`
# are questions, and their word stands elsewhere or is followed by another one.
_COMMAND = re.compile(
    r"(?:^|[{\[;])\s*(?:use\s+)?"
    r"(?:LB::reselect\s+)?(pool|virtual|node|clone\s+pool|HTTP::redirect|HTTP::respond|reject|drop|discard)\b"
    r"(?:[ \t]+(\{[^{}]{0,300}\}|\"[^\"]{0,300}\"|\[|[^\s{}\[\];\"]{1,300}\[?))?"
    r"(?:[ \t]+([^\s{}\[\];]{1,20}))?"
)
_COMMENT = re.compile(r"^\s*#|;\s*#.*")
_ASKS = {"virtual": ("name",), "pool": ("name",)}
SECRET = re.compile(r"(?i)authorization|passw|secret|token|api.?key|credential")  # such a line is not shown
_USER_INFO = re.compile(r"//[^/\s]{1,300}@")
_ENDS = ("reject", "drop", "discard")


def choices(name: str, text: str) -> tuple[Choice, ...]:
    """The choices of the iRule `name` (a full path) in the order of its text."""
    found: list[Choice] = []
    event = ""
    for line in text[:_LONGEST_TEXT].splitlines():
        line = line[:_LONGEST_LINE]
        if not line or line.isspace() or line.lstrip().startswith("#"):
            continue
        line = _COMMENT.sub("", line)
        place = 0
        for when in (*_EVENT.finditer(line), None):
            end = when.start() if when else len(line)
            found += (_choice(name, event, line, match) for match in _COMMAND.finditer(line[:end], place))
            if when:
                event, place = when.group(1), when.end()
        if len(found) > _MOST:
            break
    return tuple(dict.fromkeys(one for one in found[:_MOST] if one.kind))


def _choice(rule: str, event: str, line: str, match: re.Match[str]) -> Choice:
    """A choice; one without a kind where the command only asks."""
    command, first, second = match.group(1), match.group(2) or "", match.group(3) or ""
    shown = "" if SECRET.search(line) or _USER_INFO.search(line) else " ".join(line.split())[:200]
    if command in _ENDS:
        return Choice("reset", "", event, shown)
    if command == "HTTP::respond":
        return Choice("respond", first if first.isdigit() else "", event, shown)
    target = first.strip('{}" \t')
    if command == "HTTP::redirect":
        return Choice("redirect", "" if _computed(target) else without_secret(target), event, shown)
    if not target or target in _ASKS.get(command, ()):
        return Choice("", "", event)
    kind = "clone_pool" if command.startswith("clone") else command
    if _computed(target):
        return Choice(kind, "", event, shown)
    if kind == "node":
        return Choice(kind, f"{target}:{second}" if second.isdigit() else target, event, shown)
    return Choice(kind, full_path(target, rule), event, shown)


def without_secret(url: str) -> str:
    """Where a request is sent on to, without a user's password in it, and without a query that names a key."""
    place, mark, query = url.partition("?")
    return _USER_INFO.sub("//…@", place) + mark + ("…" if SECRET.search(query) else query)


def _computed(target: str) -> bool:
    return "$" in target or "[" in target


def full_path(name: str, beside: str) -> str:
    """A bare name means an object of the folder that the rule itself is in."""
    return name if name.startswith("/") else f"{beside.rpartition('/')[0] or '/Common'}/{name}"
