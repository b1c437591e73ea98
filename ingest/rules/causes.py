"""The table of causes: code, whose fault it is, a name, a sentence for a person, what to do next and whom to call.

This is data: pages and docs print it, rules refer to it by code. A new cause is a row here, a rule, a test, a line in docs.
"""

from __future__ import annotations

from dataclasses import dataclass

ROUTE, SERVICE, TASK, UNKNOWN = "route", "service", "task", "unknown"
NETWORK, OWNERS, DAG, PLATFORM = (
    "network engineers",
    "the service's owners",
    "the DAG's owners",
    "the Airflow platform team",
)


@dataclass(frozen=True, slots=True)
class Cause:
    code: str
    culprit: str
    name: str
    sentence: str
    next_step: str
    call: str


_ROWS = (
    ("member_down", ROUTE, "member down",
     "A member of the pool was going down; requests still went to it until its monitor noticed.",
     "Look at the member's host and process at that time; a shorter monitor interval closes the hole.", NETWORK),
    ("member_grey", ROUTE, "member fails while its monitor passes",
     "One member answered with errors while its monitor called it up and the others answered well.",
     "Take the member out of the pool, then make the monitor ask what the clients ask.", NETWORK),
    ("no_member", ROUTE, "no member available",
     "The pool had no member that could take the request.",
     "See why the members were down or disabled; the BIG-IP did what it was told.", NETWORK),
    ("slow_member", ROUTE, "slow member",
     "One member was far slower than the others of its pool.",
     "Take the member out of the pool and look at its load.", NETWORK),
    ("wrong_member", ROUTE, "wrong member in the pool",
     "A member that was added a short time before answers what the others do not.",
     "Take the member out of the pool; see who added it in the audit trail.", NETWORK),
    ("reset_by_f5", ROUTE, "reset by the BIG-IP",
     "The BIG-IP itself ended the connection and logged why.",
     "Read the reset cause; it names the profile or limit.", NETWORK),
    ("reset_by_server", ROUTE, "reset by a member",
     "The member took the request and broke the connection off.",
     "Look at the members' process and its keep-alive and worker limits at that time.", NETWORK),
    ("unanswered", ROUTE, "never answered",
     "The request reached the virtual server and no answer left it; which side closed it was not logged.",
     "Switch on reset cause logging (tm.rstcause.log) to see who closes.", NETWORK),
    ("idle_timeout", ROUTE, "cut by an idle time-out",
     "Long requests were cut after the same time each.",
     "Raise the idle time-out of the TCP profile or send keep-alives.", NETWORK),
    ("tls_failure", ROUTE, "TLS handshake failed",
     "The TLS handshake failed at the virtual server.",
     "Check certificate, ciphers and protocol versions of the SSL profile.", NETWORK),
    ("misroute", ROUTE, "sent to the wrong pool",
     "The request went to a pool that this route never went to before.",
     "Check policies and iRules changed before that time.", NETWORK),
    ("connection_limit", ROUTE, "connection or rate limit",
     "A connection or rate limit of the BIG-IP was reached.",
     "Raise the limit or spread the load; see which limit the log names.", NETWORK),
    ("port_exhaustion", ROUTE, "source ports exhausted",
     "The BIG-IP had no source port left towards the member.",
     "Add addresses to the SNAT pool.", NETWORK),
    ("failover", ROUTE, "failover",
     "The traffic moved to the other unit at that moment.",
     "See why the unit failed over; connection mirroring keeps connections.", NETWORK),
    ("config_change", ROUTE, "configuration change",
     "The route failed right after its configuration was changed.",
     "See the change in the audit trail and take it back.", NETWORK),
    ("monitor_flap", ROUTE, "flapping monitor",
     "The monitor took members out and in again several times.",
     "Look at the monitor's time-outs and the members' load.", NETWORK),
    ("vip_unreachable", ROUTE, "virtual server not reached",
     "No call reached the virtual server: it was switched off, or its name or address led nowhere.",
     "See the virtual server's state and its name's record; nobody else reached it either.", NETWORK),
    ("waf_block", ROUTE, "blocked by the BIG-IP",
     "The BIG-IP itself answered: a web application firewall, a policy or an iRule turned the request down.",
     "Look up the support id or the rule; no member was asked.", NETWORK),
    ("device_overload", ROUTE, "device overloaded",
     "The BIG-IP itself was short of memory or processor time, and failed requests of all its routes.",
     "See the device's memory and processor at that time.", NETWORK),
    ("api_unreachable", ROUTE, "Airflow API unreachable",
     "The Airflow API servers behind the virtual server did not answer the worker.",
     "See the members of the API's pool: down, frozen or too slow.", PLATFORM),
    ("service_failing", SERVICE, "service failing on all members",
     "All members that were asked failed alike: the service behind the route fails, not the route.",
     "Ask the service's owners; the route is well.", OWNERS),
    ("service_slow", SERVICE, "service slow on all members",
     "All members were slow alike: the service is slow, not the route.",
     "Ask the service's owners; the route is well.", OWNERS),
    ("service_refused", SERVICE, "refused by the service",
     "The service refused this caller (401, 403, 407 or 429) while others were answered well.",
     "Check the credentials and quota of the connection.", OWNERS),
    ("task_error", TASK, "error of the task's own code",
     "The task's own code raised the error; every request it made was answered.",
     "Read the traceback; the route is well.", DAG),
    ("bad_request", TASK, "bad request",
     "The service answered correctly that what the task asked for is wrong or does not exist.",
     "Check the path and parameters in the DAG.", DAG),
    ("task_timeout", TASK, "the task's own time limit",
     "The task gave up by its own limit while latencies were normal.",
     "Raise the limit or split the work.", DAG),
    ("worker_killed", TASK, "worker process killed",
     "The worker's process was killed or lost its heartbeat.",
     "Look at memory and host events of the worker.", PLATFORM),
    ("worker_network", TASK, "the worker's own network",
     "One worker could not look up or reach what others reached at that moment.",
     "Look at that worker's resolver, proxy and network.", PLATFORM),
    ("slot_starvation", TASK, "waited for a slot",
     "The try waited too long for a slot or a worker.",
     "Add slots to the Airflow pool or workers.", PLATFORM),
    ("scheduler_down", TASK, "scheduler down",
     "The scheduler was down.",
     "See why the scheduler ended.", PLATFORM),
    ("execution_conflict", TASK, "state changed meanwhile",
     "Somebody cleared, marked or deleted the task instance while it ran; Airflow's API told the worker so.",
     "See who did it in the audit trail.", DAG),
    ("data_volume", TASK, "more data than usual",
     "The task moved more data than usual at its usual speed.",
     "Nothing is broken; look at the data.", DAG),
    ("no_data", UNKNOWN, "not enough data",
     "A log that is needed has a gap at that time.",
     "See Sources for what is missing.", NETWORK),
    ("no_f5_path", UNKNOWN, "does not cross F5",
     "The failed call did not cross a virtual server that we see.",
     "Look at the host named in the task's log.", DAG),
    ("undecided", UNKNOWN, "cannot be told",
     "The logs of both sides do not say enough.",
     "See below what would settle it.", DAG),
)  # fmt: skip

CAUSES: dict[str, Cause] = {row[0]: Cause(*row) for row in _ROWS}
