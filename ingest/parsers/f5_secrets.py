"""Values of passwords, passphrases and secrets that a device wrote in clear, masked."""

from __future__ import annotations

import re

_SECRET = re.compile(
    r"((?:pass(?:word|wd|phrase|code)s?|secrets?|private[-_]key|bind[-_]pw|api[-_]key)(?![-_]?polic)"
    r"[A-Za-z_-]{0,32}\"? ?[:=]? ?)"
    r"(\"[^\"]*\"|\{ ?[^{}\s]{1,512} ?\}|[^\s\"{},;\[\]]+)",
    re.IGNORECASE,
)
# What sshd and pam write of a password is no password; in a command of tmsh any word can be one.
_WORDS = frozenset(
    ("for", "check", "is", "was", "has", "will", "must", "changed", "expired", "authentication", "mismatch")
)
_COMMANDS = ("cmd_data=", "transaction #", "command: ")
_SECRET_WORDS = ("pass", "secret", "private-key", "private_key", "bind-pw", "bind_pw", "api-key", "api_key")


def _is_word(value: str) -> bool:
    return value in _WORDS or value.startswith(")")


def mask(text: str) -> str:
    """The text without the values of passwords, passphrases and secrets."""
    low = text.lower()
    told = not any(mark in text for mark in _COMMANDS)
    if len(low) != len(text):  # some letters have a longer small form
        return _SECRET.sub(lambda m: m.group() if told and _is_word(m.group(2)) else m.group(1) + "****", text)
    # To look for plain words first is ten times as fast as the pattern alone, and most lines hold none of them.
    places: list[int] = []
    for word in _SECRET_WORDS:
        place = low.find(word)
        while place >= 0:
            places.append(place)
            place = low.find(word, place + 1)
    kept: list[str] = []
    end = 0
    for place in sorted(places):
        match = _SECRET.match(text, place) if place >= end else None
        if match and not (told and _is_word(match.group(2))):
            kept += (text[end : match.end(1)], "****")
            end = match.end()
    return "".join((*kept, text[end:]))
