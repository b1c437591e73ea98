"""The head of one syslog line of a BIG-IP, in all the forms that devices, relays and `tmsh show sys log` give it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from ingest.parsers import times

LEVELS = frozenset(["emerg", "alert", "crit", "err", "error", "warning", "warn", "notice", "info", "debug"])
_LEVEL_OF = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_PRI = re.compile(r"<([0-9]{1,3})>")
_PROCESS = re.compile(r"(-?[A-Za-z0-9_./+-]{1,64}(?:\([^()\s]{1,64}\))?)(?:\[([0-9]{1,10})\])?:(?=\s|$)")
_PID_PROCESS = re.compile(r"(-?[A-Za-z0-9_./+-]{1,64}(?:\([^()\s]{1,64}\))?)\[([0-9]{1,10})\]:")
_MESSAGE_ID = re.compile(r"([0-9a-fA-F]{8}):([0-7]):(?: |$)")
_TOKEN = re.compile(r"[^\s]{1,255}")
# A level's word, a process with its number and a message id: nobody but a BIG-IP writes that, wherever it stands.
_SIGNATURE = re.compile(
    r"([^\s]{1,255}) (emerg|alert|crit|err|warning|notice|info|debug) (-?[A-Za-z0-9_./+-]{1,64}(?:\([^()\s]{1,64}\))?)"
    r"\[([0-9]{1,10})\]: (?:[^\n]{0,160}? )?([0-9a-fA-F]{8}):([0-7]):(?: |$)"
)
_ANY_ID = re.compile(r"[0-9a-fA-F]{8}:[0-7]:")
_REPEATED = re.compile(r"message repeated ([0-9]{1,9}) times: \[ ?")
_TAILS = ("#015", "#012", "#000", "\\n", "\\r", "\\0")  # line ends as rsyslog and our own receiver show them
_MOST_DATA = 200
_FOREIGN = 60  # characters that a collector may put between the time and the rest of the head
_5424 = re.compile(r"([^\s]{1,255}) ([^\s]{1,48}) ([^\s]{1,128}) ([^\s]{1,32}) (?=\[|-)")


class Header(NamedTuple):
    """One line, split. Text that the line does not have is ""; `at` is None where the line has no (complete) time."""

    pri: int | None
    at: datetime | None
    hostname: str
    level: str
    process: str
    pid: int | None
    message_id: str  # 8 hex digits in lower case, or ""
    severity: str  # the level's word, from the level, the id's digit or the PRI
    text: str
    slot: str = ""  # "slot1" of a VIPRION's "slot1/host"
    data: dict[str, str] | None = None  # structured data of RFC 5424
    repeated: int = 1  # how often a relay says that it had this line


class Spool(NamedTuple):
    received: datetime
    sender: str
    message: str


def clean(text: str) -> str:
    """Without NULs, lone surrogates and the line end: what PostgreSQL and JSON can hold."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8", "replace")
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    return text.rstrip("\r\n")


def split_spool(line: str) -> Spool | None:
    """`<RFC 3339 receive time> <sender ip> <the message as received>`, as in our spool files; else None."""
    if len(line) < 22 or line[4:5] != "-" or not line[:4].isdigit():
        return None
    when, _, rest = line.partition(" ")
    sender, space, message = rest.partition(" ")
    # An address has at most 45 characters, and the memory of addresses is to hold nothing longer.
    if not space or len(when) > 40 or line[10:11] != "T" or len(sender) > 45 or not _is_address(sender):
        return None
    received = times.instant(when)
    # A device with ISO dates writes "<time> <host> <level> …": its own address as host looks like a sender.
    if received is None or message.split(" ", 1)[0] in LEVELS or _PID_PROCESS.match(message):
        return None
    return Spool(received, sender, message)


@lru_cache(maxsize=1024)
def _is_address(text: str) -> bool:
    if ":" in text:
        return all(c in "0123456789abcdefABCDEF:.%" for c in text)
    parts = text.split(".")
    return len(parts) == 4 and all(p.isascii() and p.isdigit() and len(p) <= 3 for p in parts)


def unwrap(line: str, received: datetime | None) -> tuple[str, datetime | None, str]:
    """(message, time of receipt, sender) of a spool line or a bare line."""
    spool = split_spool(line)
    if spool:
        return spool.message, spool.received, spool.sender
    return line, received, ""


def parse(message: str, received: datetime | None = None, utc_offset: timedelta = times.NO_OFFSET) -> Header:
    """Split one message (not a spool line). Never fails: what is not a header is all text."""
    pri, pos = _pri(message)
    version = message[pos : pos + 2] == "1 "
    near = times.last_error_date(message)
    # The date in a last error is local time of the device, like the header itself.
    near = near - utc_offset if near else received
    pos = pos if version else _skip_word(message, pos)
    found = times.stamp(message, pos + 2 if version else pos, near, utc_offset)
    if found:
        header = _rfc5424(message, found[1] + 1, pri, found[0])
        if header and (version or (header.message_id and header.data)):  # relays drop the version and keep the rest
            return header
    pos += 2 if version else 0
    at, host, level, process, pid, pos = _scan(message, pos, near, utc_offset)
    message_id, digit, pos = _message_id(message, pos)
    data, repeated = None, 1
    if message.startswith("[F5@", pos):
        data, pos = structured_data(message, pos)
    elif not message_id:
        again = _REPEATED.match(message, pos)
        if again:
            message, repeated = message.rstrip().removesuffix("]"), int(again.group(1))
            message_id, digit, pos = _message_id(message, again.end())
        elif at is not None and not process and _ANY_ID.search(message, pos, pos + 400):
            signed = _SIGNATURE.search(message, pos, pos + 400)
            # further on, a client's own text may stand in the line
            if signed and signed.start() - pos <= _FOREIGN:
                host, level, process, number, message_id, digit = signed.groups()
                pid, message_id, pos = int(number), message_id.lower(), signed.end()
    slot, host = _slot(host)
    severity = _severity(level, digit, pri)
    text = _text(message, pos)
    return Header(pri, at, host, level, process, pid, message_id, severity, text, slot, data, repeated)


def _text(message: str, pos: int) -> str:
    """The text from here on, without the line ends that relays make visible."""
    end = len(message)
    while end > pos and (message[end - 1].isspace() or message.endswith(_TAILS, pos, end)):
        end -= 1 if message[end - 1].isspace() else 4 if message[end - 4] == "#" else 2
    return message[pos:end].lstrip()


def _pri(message: str) -> tuple[int | None, int]:
    pos = len(message) - len(message.lstrip())
    match = _PRI.match(message, pos)
    if not match:
        return None, pos
    pos = match.end()
    while message[pos : pos + 1] == " ":
        pos += 1
    value = int(match.group(1))
    return (value if value < 192 else None), pos


def _skip_word(message: str, pos: int) -> int:
    """Behind the name of the log's file, a relay's name or a day of the week that stands before the time."""
    token = _TOKEN.match(message, pos)
    if token and times.stamp(message, pos) is None:
        after = token.end() + 1
        pri = _PRI.match(message, after)
        after = pri.end() if pri else after
        while message[after : after + 1] == " ":
            after += 1
        if times.stamp(message, after) is not None:
            return after
    return pos


class _State:
    """What has been read so far of a head; a class because the scan goes back to the start at a relayed head."""

    __slots__ = ("at", "host", "level", "pos")

    def __init__(self, pos: int) -> None:
        self.pos = pos
        self.at: datetime | None = None
        self.host = ""
        self.level = ""


def _scan(
    message: str, pos: int, near: datetime | None, offset: timedelta
) -> tuple[datetime | None, str, str, str, int | None, int]:
    """Read time, host, level and process in any order that is known; stop where the text begins."""
    state = _State(pos)
    seen_time = False
    for _ in range(8):
        found = times.stamp(message, state.pos, state.at or near, offset)  # a relay's head has the year more often
        if found and not state.level:  # a second head after a relay's: the inner one is the device's own
            state.at, state.host, seen_time = found[0], ("" if seen_time else state.host), True
            state.pos = _after_stamp(message, found[1])
            continue
        process = _process(message, state.pos, seen_time or bool(state.host))
        if process and not (process[1] is None and not state.host and _level_and_process(message, process[2])):
            name, pid, end = process
            return state.at, state.host, state.level, name, pid, _after_spaces(message, end)
        token = _TOKEN.match(message, state.pos)
        if not token or not _take(message, state, token.group(), token.end(), seen_time):
            break
    return state.at, state.host, state.level, "", None, state.pos


def _take(message: str, state: _State, word: str, end: int, seen_time: bool) -> bool:
    """Take one word as level or host; False where the text begins with it."""
    after = _after_spaces(message, end)
    level = _level(word)
    if level and not state.level and (seen_time or _PID_PROCESS.match(message, after)):
        state.level = level
    elif not state.host and seen_time and not _MESSAGE_ID.match(message, state.pos) and "=" not in word:
        state.host = word.rstrip(":")  # some relays write "host:"
    elif state.host and not state.level and _head_goes_on(message, after) and "=" not in word:
        state.host = word  # relay and device, or the same host twice: the inner one is the device
    else:
        return False
    state.pos = after
    return True


def _head_goes_on(message: str, pos: int) -> bool:
    token = _TOKEN.match(message, pos)
    if token is None:
        return False
    return (
        bool(_level(token.group())) or bool(_PID_PROCESS.match(message, pos)) or times.stamp(message, pos) is not None
    )


def _level(word: str) -> str:
    """The level of `notice`, `Notice` or a relay's `local0.notice`; "" for any other word."""
    if word in LEVELS:
        return word
    facility, dot, level = word.lower().rpartition(".")
    return level if level in LEVELS and (not dot or facility.startswith("local")) else ""


def _level_and_process(message: str, pos: int) -> bool:
    token = _TOKEN.match(message, _after_spaces(message, pos))
    return bool(token and _level(token.group()) and _PID_PROCESS.match(message, _after_spaces(message, token.end())))


def _process(message: str, pos: int, headed: bool) -> tuple[str, int | None, int] | None:
    match = _PID_PROCESS.match(message, pos)
    if match:
        return match.group(1), int(match.group(2)), match.end()
    match = _PROCESS.match(message, pos) if headed else None
    if match:
        return match.group(1), None, match.end()
    return None


def _message_id(message: str, pos: int) -> tuple[str, str, int]:
    match = _MESSAGE_ID.match(message, pos)
    if not match:
        return "", "", pos
    return match.group(1).lower(), match.group(2), match.end()


def _after_spaces(message: str, pos: int) -> int:
    while message[pos : pos + 1] in (" ", "\t"):
        pos += 1
    return pos


def _after_stamp(message: str, pos: int) -> int:
    """Behind the time, and behind the colon that some collectors write after it."""
    pos = pos + 1 if message.startswith(": ", pos) else pos
    return _after_spaces(message, pos)


def _slot(host: str) -> tuple[str, str]:
    if host.startswith("slot") and "/" in host:
        slot, _, rest = host.partition("/")
        if slot[4:].isdigit() and rest:
            return slot, rest
    if host.startswith("local/") and len(host) > 6:
        # as BIG-IP 9 and 10 write it; what stands there for tmm is no host
        return "", "" if host == "local/tmm" else host[6:]
    return "", host


def _severity(level: str, digit: str, pri: int | None) -> str:
    if level:
        return {"error": "err", "warn": "warning"}.get(level, level)
    if digit:
        return _LEVEL_OF[int(digit)]
    return _LEVEL_OF[pri & 7] if pri is not None else ""


def _rfc5424(message: str, pos: int, pri: int | None, at: datetime | None) -> Header | None:
    """The fields after the time: `host app procid msgid SD text`. F5 writes `01490248:5:` as MSGID (PEN 12276)."""
    match = _5424.match(message, pos)
    if not match:
        return None
    host, process, procid, msgid = match.groups()
    pos = match.end()
    data: dict[str, str] | None = None
    if message.startswith("[", pos):
        data, pos = structured_data(message, pos)
    elif message.startswith("-", pos):
        pos += 1
    text = _text(message, pos).removeprefix(": ")
    found = _MESSAGE_ID.match(msgid) or _MESSAGE_ID.match(text)
    if found and found.string is text:
        text = text[found.end() :]
    message_id = found.group(1).lower() if found else ""
    slot, host = _slot("" if host == "-" else host)
    level = ""
    pid = int(procid) if procid.isascii() and procid.isdigit() and len(procid) < 11 else None
    name = process if process != "-" else ""
    own = _process(text, 0, True) if process in LEVELS and procid == "-" else _process(f"{process}:", 0, True)
    if own and process in LEVELS:  # rsyslog takes the level's word for the process and leaves the rest in the text
        level, (name, pid, end) = process, own
        text = text[end:].lstrip()
        found = _MESSAGE_ID.match(text)
        message_id, text = (found.group(1).lower(), text[found.end() :]) if found else ("", text)
    elif own and own[1] is not None:
        name, pid, _ = own
    severity = _severity(level, found.group(2) if found else "", pri)
    return Header(pri, at, host, level, name, pid, message_id, severity, text, slot, data)


def structured_data(message: str, pos: int) -> tuple[dict[str, str], int]:
    """`[ID key="value" …]` from its bracket; values may hold `]` and escaped quotes. Elastic's F5 set has no ID."""
    data: dict[str, str] = {}
    end = len(message)
    pos += 1
    for _ in range(_MOST_DATA):
        if pos >= end or message[pos] == "]":
            break
        equals = message.find('="', pos, pos + 600)
        bracket = message.find("]", pos, equals if equals >= 0 else pos + 600)
        if equals < 0 or bracket >= 0:
            pos = bracket if bracket >= 0 else end
            break
        key = message[pos:equals].rsplit(" ", 1)[-1]
        value, pos = _quoted(message, equals + 2)
        data.setdefault(key, value)
    return data, min(pos + 1, end)


def _quoted(message: str, start: int) -> tuple[str, int]:
    pos = message.find('"', start)
    while pos > start and message[pos - 1] == "\\":
        pos = message.find('"', pos + 1)
    if pos < 0:
        return message[start:], len(message)
    return message[start:pos].replace('\\"', '"').replace("\\]", "]").replace("\\\\", "\\"), pos + 1
