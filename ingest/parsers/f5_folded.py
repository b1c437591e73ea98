"""Messages of several lines: Tcl errors with their trace, and audit lines that hold a whole iRule.

Where a message comes with its length (octet counting, UDP) it is one line of the spool already. Over plain TCP, and in
copies of /var/log/ltm, each of its lines is one, and only the first has a head.
"""

from __future__ import annotations

import re

from ingest.parsers import times
from ingest.parsers.f5_header import split_spool

MOST_LINES = 400
MOST_CHARACTERS = 256 << 10

_TRACE = ("invoked from within", "while executing", "while compiling", '"', "(", "}")
_HEAD = re.compile(r"<[0-9]{1,3}>|\{|\[[A-Z]\]\[|airf5=|[a-z_]{1,20}=\"")


def message_of(text: str) -> str:
    """The message alone, where the text is a line of a spool file."""
    spooled = split_spool(text)
    return spooled.message if spooled else text


def continues(before: str, message: str) -> bool:
    """Whether this line goes on with the message before it, which may have several lines already."""
    if not message.strip() or has_head(message) or not has_head(before):
        return False
    if len(before) > MOST_CHARACTERS or before.count("\n") >= MOST_LINES:
        return False
    if is_trace(message):
        return True
    # The text of an iRule has any form; it ends with the status of the change.
    return "AUDIT - " in before[:600] and " { " in before and "[Status=" not in before


def is_trace(message: str) -> bool:
    """Whether the line looks as the further lines of a Tcl error do."""
    return (message[:1] in (" ", "\t") and bool(message.strip())) or message.startswith(_TRACE)


def has_head(message: str) -> bool:
    """Whether the line has a time, a priority or the beginning of another form of its own."""
    return bool(_HEAD.match(message)) or times.stamp(message) is not None or _named_head(message)


def _named_head(message: str) -> bool:
    """A word before the time: the log's name, or a relay."""
    word, space, rest = message[:300].partition(" ")
    return bool(space and word and not message[0].isspace()) and times.stamp(rest.lstrip()) is not None
