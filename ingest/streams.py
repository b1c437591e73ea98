"""Which stream a received message belongs to: request log, ltm log or audit log. By its beginning, no client's text counts."""

from __future__ import annotations

import re

# Request logs of iRules and publishers, which have a priority too: behind it a time and names, nothing of a client.
_REQUEST = re.compile(
    rb"<[0-9]{1,3}>(?:1 )?[A-Za-z0-9 :.+_/-]{0,120}"
    rb"(?:,f5_irule=[A-Za-z-]{0,40}(?:HTTP|LB_FAILED),|CEF:0\|F5\|BIG-IP\|[^|]*\|[^|]*\|HTTP|access_json - \{|"
    rb"f5LTM - [^ ]{1,32} \[)"
)
_IRULE = re.compile(
    rb"<[0-9]{1,3}>[A-Za-z0-9 :.+_/\[\]-]{0,120}Rule /[^ ]{1,200} <HTTP_[A-Z_]{1,40}>: (?:virtual|client_ip|client)="
)
_OWN = re.compile(rb' (?:airf5="|event_source=)')
_RULE = re.compile(rb"Rule /[^ ]{1,256} <[A-Z0-9_]{1,40}>: ")
_AUDIT = re.compile(
    rb"AUDIT|pam_audit|pam_bigip_authz|pam_unix|\bsshd\b|ssl_acc|ssl_req|restjavad|0107041[0-9]|0142000[0-9]"
)


def kind_of(message: bytes) -> str:
    """The stream of a message, told by its beginning, where a client's text cannot stand."""
    head = message[:400]
    if head.startswith((b'airf5="', b"event_source=")) or _has_own(head):
        return "request"
    if not head.startswith(b"<"):
        return "request"  # syslog always has a priority; a request log sends its template and nothing else
    if _REQUEST.match(head) or _IRULE.match(head):
        return "request"
    return "audit" if _AUDIT.search(head) else "ltm"


def _has_own(head: bytes) -> bool:
    """Whether a request log's first key stands behind a syslog head; behind words of an iRule it is a client's text."""
    own = _OWN.search(head)
    rule = _RULE.search(head) if own else None
    return own is not None and (rule is None or rule.end() > own.start())


def goes_on(message: bytes) -> bool:
    """Whether this is a further line of a message: a trace has neither priority nor time."""
    return message.startswith((b" ", b"\t", b"invoked from within", b"while executing"))
