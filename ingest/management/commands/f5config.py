"""manage.py f5config: print what a network engineer pastes on a BIG-IP, what it costs and how to undo it."""

from __future__ import annotations

import ipaddress
from argparse import ArgumentParser
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ingest.f5config import PARTS, Part, Plan, PlanRefused
from ingest.f5config.parts import rendered
from ingest.f5config.plan import PLACEHOLDER, receiver_of, virtual_of, web_of
from ingest.models import Device
from ingest.store.devices import findings_of

# Which virtual servers a part is for: those with this finding; for None, all that read HTTP.
LACKS = {"request-log": "no_request_log", "lb-failed": "no_requests", "headers": None}


class Command(BaseCommand):
    help = "Print what to paste on a BIG-IP so that airf5 sees it: tmsh commands or a declaration, and how to undo it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--device", required=True, metavar="NAME", help="the device, as its source is called")
        parser.add_argument("--part", choices=list(PARTS), help="default: all parts")
        parser.add_argument("--format", choices=["tmsh", "as3"], default="tmsh")
        parser.add_argument("--receiver", metavar="ADDRESS:PORT", help="where the device reaches airf5's receiver")
        parser.add_argument("--web", metavar="https://HOST", help="where the device reaches airf5's web server")
        parser.add_argument(
            "--virtual", action="append", default=[], metavar="/Common/NAME",
            help="attach to this virtual server; default: those of the device that lack the part",
        )  # fmt: skip

    def handle(self, *args: Any, device: str, part: str | None, format: str, **options: Any) -> None:
        try:
            plan = plan_of(device, options["receiver"], options["web"], options["virtual"])
            parts = [PARTS[part]] if part else list(PARTS.values())
            servers = {} if options["virtual"] else servers_of(device)
            plans = [(one, replace(plan, virtuals=servers.get(one.name, plan.virtuals))) for one in parts]
            if format == "as3":
                self._as3(plans, part)
            else:
                self._tmsh(plans, part)
        except PlanRefused as error:
            raise CommandError(str(error), returncode=2) from error

    def _tmsh(self, plans: list[tuple[Part, Plan]], asked: str | None) -> None:
        for number, (one, plan) in enumerate(plans):
            self.stdout.write(("\n\n" if number else "") + f"# {one.name}: {one.what}")
            try:
                paste = one.tmsh(plan) if one.tmsh else rendered(one.json(plan)) if one.json else ""
                undo = one.undo(plan)
            except PlanRefused as error:
                if asked:
                    raise
                self.stdout.write(f"# left out. {error}")
                continue
            where = "in tmsh" if one.tmsh else "as the body of POST /mgmt/shared/telemetry/declare"
            for cost in one.costs:
                self.stdout.write(f"# costs: {cost}")
            if one.name in LACKS and not plan.virtuals:
                self.stdout.write(f"# no virtual server is known that lacks it: put a name in place of {PLACEHOLDER}")
            self.stdout.write(f"# --- paste {where} ---\n{paste}\n# --- to undo ---\n{undo}")

    def _as3(self, plans: list[tuple[Part, Plan]], asked: str | None) -> None:
        usable = [(one, plan) for one, plan in plans if one.as3]
        if not usable:
            raise PlanRefused(f"{asked} is no application service, so AS3 has no word for it: leave --format out.")
        shared: dict[str, Any] = {}
        whole: dict[str, Any] = {}
        for one, plan in usable:
            assert one.as3 is not None
            whole = one.as3(plan)
            shared |= whole["declaration"]["Common"]["Shared"]
            for cost in one.costs:
                self.stderr.write(f"# {one.name} costs: {cost}")
        whole["declaration"]["Common"]["Shared"] = shared
        self.stderr.write(
            "# A declaration of Common replaces what AS3 keeps under /Common/Shared: merge these objects into yours.\n"
            '# Attach: "profileTrafficLog": {"bigip": "/Common/Shared/airf5_request_log"} in the service; '
            '"iRules": [{"bigip": "/Common/Shared/airf5_…"}].\n'
            "# To undo: take both out again and declare."
        )
        self.stdout.write(rendered(whole))


def plan_of(name: str, receiver: str | None, web: str | None, virtuals: list[str]) -> Plan:
    """The plan for a device that is configured as a source."""
    device = Device.objects.select_related("group").filter(name=name).first()
    if device is None:
        known = ", ".join(Device.objects.order_by("name").values_list("name", flat=True)[:20]) or "none yet"
        raise PlanRefused(f"There is no device {name!r}; known are: {known}.")
    told = [str(one.get("name", "")) for one in device.about.get("groups") or [] if one.get("kind") == "sync-failover"]
    groups = [name for name in told if _plain(name)]  # it stands in a command as it is
    return Plan(
        device=device.name,
        receiver=receiver_of(receiver) if receiver else _own_receiver(),
        web=web_of(web) if web else None,
        virtuals=tuple(virtual_of(one) for one in virtuals),
        sync_group=groups[0] if groups else "",
    )


def servers_of(name: str) -> dict[str, tuple[str, ...]]:
    """For each part the virtual servers that iControl REST told of and that lack it."""
    found = findings_of(Device.objects.get(name=name))
    codes = {server: {one.code for one in said} for server, said in found.items() if _plain(server)}
    blind = {"not_told", "types_not_told", "fastl4", "no_http"}
    return {
        part: tuple(server for server, said in codes.items() if (lacks in said if lacks else not said & blind))
        for part, lacks in LACKS.items()
    }


def _plain(name: str) -> bool:
    try:
        return bool(virtual_of(name))
    except PlanRefused:
        return False


def _own_receiver() -> tuple[str, int] | None:
    """Where our receiver listens, if that is one address that others can reach."""
    host = settings.AIRF5_SYSLOG_BIND
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return None if address.is_loopback or address.is_unspecified else (host, settings.AIRF5_SYSLOG_PORT)
