"""What a person changes of contracts: declared, changed, switched, withdrawn, each with its user action in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from airf5.accounts import audit
from ingest.actions import Refused
from ingest.models import Endpoint, F5Pool, RouteContract
from ingest.rules.contracts import MOST_AGENT, MOST_PREFIX, family_of

LONGEST_NOTE, LONGEST_HOST, MOST_POOLS = 1000, 200, 12
DECLARED, LEARNED = RouteContract.Source.DECLARED, RouteContract.Source.LEARNED
ON, OFF = RouteContract.State.ON, RouteContract.State.OFF


@transaction.atomic
def declare_contract(
    endpoint_id: int,
    prefix: str,
    pools: Sequence[str],
    actor: str,
    *,
    host: str = "",
    agent: str = "",
    note: str = "",
    address: str = "",
    now: datetime | None = None,
) -> RouteContract:
    """Say to which pools of its BIG-IP an endpoint sends requests of this path (and host, and kind of client).

    It counts from now on and beats what was learned. Declared again for the same requests, it is changed: pools that were
    expected already stay so since then.
    """
    endpoint = Endpoint.objects.select_related("group").filter(pk=endpoint_id).first()
    if endpoint is None:
        raise Refused("There is no such endpoint.")
    key = {"host": _host(host), "prefix": _prefix(prefix), "agent": family_of(agent.strip())[:MOST_AGENT]}
    names = _pools(endpoint, pools)
    note, at = _note(note), now or timezone.now()
    known = RouteContract.objects.select_for_update().filter(endpoint=endpoint, source=DECLARED, **key).first()
    was = known.pools if known else {}
    since = {
        name: {"count": 0, **was.get(name, {}), "since": was.get(name, {}).get("since") or at.isoformat()}
        for name in names
    }
    row = known or RouteContract(endpoint=endpoint, source=DECLARED, ready_at=at, first_at=at, **key)
    row.pools, row.state, row.by, row.changed_at, row.note = since, ON, actor[:150], at, note
    row.save()
    detail = {"contract": row.pk, **{name: text for name, text in key.items() if text}, "pools": names, "note": note}
    verb = "change_contract" if known else "declare_contract"
    audit.record(actor, verb, f"endpoint {endpoint.name}", detail, address=address)
    return row


@transaction.atomic
def switch_contract(contract_id: int, on: bool, actor: str, address: str = "") -> RouteContract:
    """Let a contract, learned or declared, count or not."""
    row = _contract(contract_id)
    state = ON if on else OFF
    if row.state != state:
        row.state, row.by, row.changed_at = state, actor[:150], timezone.now()
        row.save(update_fields=["state", "by", "changed_at"])
        verb = "switch_on_contract" if on else "switch_off_contract"
        detail = {"contract": row.pk, "source": row.source, "path": f"{row.host}{row.prefix}", "agent": row.agent}
        audit.record(actor, verb, f"endpoint {row.endpoint.name}", detail, address=address)
    return row


@transaction.atomic
def accept_pool(contract_id: int, pool: str, actor: str, address: str = "") -> RouteContract:
    """Say that requests of a contract may go to this pool as well, from now on."""
    row = _contract(contract_id)
    (name,) = _pools(row.endpoint, [pool])
    about = row.pools.get(name, {"count": 0})
    if about.get("since"):
        return row
    if name not in row.pools and len(row.pools) >= MOST_POOLS:
        raise Refused(f"A contract names {MOST_POOLS} pools at most.")
    at = timezone.now()
    row.pools = {**row.pools, name: {"first": at.isoformat(), **about, "since": at.isoformat()}}
    row.by, row.changed_at = actor[:150], at
    row.save(update_fields=["pools", "by", "changed_at"])
    audit.record(
        actor, "accept_pool", f"endpoint {row.endpoint.name}", {"contract": row.pk, "pool": name}, address=address
    )
    return row


@transaction.atomic
def withdraw_contract(contract_id: int, actor: str, address: str = "") -> None:
    """Take a declared contract back; what was learned counts again."""
    row = _contract(contract_id)
    if row.source != DECLARED:
        raise Refused("A learned contract is switched off, it cannot be withdrawn: it would be learned again.")
    detail = {"contract": row.pk, "path": f"{row.host}{row.prefix}", "agent": row.agent, "pools": sorted(row.pools)}
    row.delete()
    audit.record(actor, "withdraw_contract", f"endpoint {row.endpoint.name}", detail, address=address)


def _contract(contract_id: int) -> RouteContract:
    row = (
        RouteContract.objects.select_for_update(of=("self",))
        .select_related("endpoint__group")
        .filter(pk=contract_id)
        .first()
    )
    if row is None:
        raise Refused("There is no such contract.")
    return row


def _prefix(text: str) -> str:
    text = _plain(text, MOST_PREFIX, "A path")
    if not text.startswith("/") or "?" in text or "*" in text:
        raise Refused("A path begins with / and is matched by whole segments; it holds neither ? nor *.")
    return text.rstrip("/") or "/"


def _host(text: str) -> str:
    text = _plain(text, LONGEST_HOST, "A host").lower()
    if "/" in text or " " in text:
        raise Refused("A host is a name, with :port where clients write one; no scheme and no path.")
    return text


def _note(text: str) -> str:
    return _plain(text, LONGEST_NOTE, "A note")


def _plain(text: str, longest: int, what: str) -> str:
    text = text.strip()
    if not text.isprintable():
        raise Refused(f"{what} holds a character that cannot be seen.")
    if len(text) > longest:
        raise Refused(f"{what} has at most {longest:,} characters.")
    return text


def _pools(endpoint: Endpoint, given: Sequence[str]) -> list[str]:
    """The full names of pools of this endpoint's devices, each by its name or the last part of it."""
    wanted = list(dict.fromkeys(name.strip() for name in given if name.strip()))
    if not 1 <= len(wanted) <= MOST_POOLS:
        raise Refused(f"A contract names 1 to {MOST_POOLS} pools.")
    known = list(F5Pool.objects.filter(group=endpoint.group_id).order_by("name").values_list("name", flat=True))
    found = []
    for name in wanted:
        fits = [full for full in known if name in (full, full.rsplit("/", 1)[-1])]
        if len(fits) != 1:
            what = "several pools" if fits else "no pool"
            raise Refused(f"{endpoint.group.name} has {what} named {name[:100]!r}.")
        found.append(fits[0])
    return sorted(set(found))
