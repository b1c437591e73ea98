"""The two iRules: one logs a request for which no member was found, one gives every request a correlation id."""

from __future__ import annotations

_LB_FAILED = """when HTTP_REQUEST priority 900 {
    # airf5: what the request log would say, kept until it is known that no member takes the request
    set airf5_ms [clock clicks -milliseconds]
    set airf5_asked "http_method=\\"[HTTP::method]\\",host=\\"%(host)s\\",correlation_id=\\"%(correlation)s\\",\
traceparent=\\"%(trace)s\\",task=\\"%(task)s\\",xff=\\"%(xff)s\\",ua=\\"%(ua)s\\",http_uri=\\"%(uri)s\\""
}
when LB_FAILED priority 900 {
    if { [info exists airf5_asked] } {
        set airf5_hsl [HSL::open -proto TCP -pool %(pool)s]
        HSL::send $airf5_hsl "airf5=\\"1\\",kind=\\"request\\",ts=\\"[expr {$airf5_ms / 1000}].\
[format %%06d [expr {($airf5_ms %% 1000) * 1000}]]\\",hostname=\\"$static::tcl_platform(machine)\\",\
virtual_name=\\"[virtual name]\\",virtual_ip=\\"[IP::local_addr clientside]\\",\
virtual_port=\\"[TCP::local_port clientside]\\",pool=\\"[LB::server pool]\\",\
client_ip=\\"[IP::client_addr]\\",client_port=\\"[TCP::client_port]\\",$airf5_asked\\n"
        unset airf5_asked
    }
}
"""

_HEADERS = """when HTTP_REQUEST priority 100 {
    # airf5: one id for the request log, the service's log and the task's log
    set airf5_id [HTTP::header value "correlation-id"]
    if { $airf5_id eq "" } {
        binary scan [md5 "[clock clicks][IP::client_addr][TCP::client_port][expr {rand()}]"] H* airf5_id
        HTTP::header insert "correlation-id" $airf5_id
    }
}
when HTTP_RESPONSE priority 900 {
    if { [info exists airf5_id] && ![HTTP::header exists "correlation-id"] } {
        HTTP::header insert "correlation-id" $airf5_id
    }
}
"""


def lb_failed(pool: str) -> str:
    """The iRule that writes an airf5/1 request line to this HSL pool when no member is found."""
    header = "[HTTP::header value %s]"
    asked = {
        "host": "[HTTP::host]", "correlation": header % "correlation-id", "trace": header % "traceparent",
        "task": header % "X-Airflow-Task", "xff": header % "X-Forwarded-For", "ua": header % "User-Agent",
        "uri": "[HTTP::uri]",
    }  # fmt: skip
    return _LB_FAILED % {"pool": pool, **{key: _clean(value) for key, value in asked.items()}}


def _clean(command: str) -> str:
    """Without its quotes, what a client wrote can end no value: the line is read on the fast path, free of doubt."""
    return '[string map {\\" %22} ' + command + "]"


def headers() -> str:
    """The iRule that makes sure of a correlation id on the way in and out."""
    return _HEADERS
