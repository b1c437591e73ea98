"""Who may do and see what: the permission table as data, and the one place that answers for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

VIEWER, OPERATOR, AUDITOR, ADMIN = "viewer", "operator", "auditor", "admin"

# A role has its own rights and nothing else; admin is named in each, so that the table can be read line by line.
PERMISSIONS: dict[str, frozenset[str]] = {
    "read": frozenset({VIEWER, OPERATOR, AUDITOR, ADMIN}),
    "export": frozenset({VIEWER, OPERATOR, AUDITOR, ADMIN}),
    "tokens": frozenset({VIEWER, OPERATOR, AUDITOR, ADMIN}),
    "audit": frozenset({VIEWER, OPERATOR, AUDITOR, ADMIN}),
    "acknowledge": frozenset({OPERATOR, ADMIN}),
    "note": frozenset({OPERATOR, ADMIN}),
    "overturn": frozenset({OPERATOR, ADMIN}),
    "contracts": frozenset({OPERATOR, ADMIN}),
    "sources": frozenset({ADMIN}),
    "replay_rejects": frozenset({OPERATOR, ADMIN}),
}


@dataclass(frozen=True, slots=True)
class Scope:
    """What the rows of a query are limited to. `dags` None: all of them."""

    role: str
    dags: frozenset[str] | None = None


EVERYTHING = Scope(ADMIN)
NOTHING = Scope("", frozenset())


def role(user: Any) -> str:
    """The role of a user: admin for superusers, else the first of its groups that names a role, else viewer."""
    if user is None or not user.is_authenticated or not user.is_active:
        return ""
    if user.is_superuser:
        return ADMIN
    names = set(user.groups.values_list("name", flat=True))
    return next((name for name in (ADMIN, OPERATOR, AUDITOR) if name in names), VIEWER)


def may(user: Any, permission: str) -> bool:
    return role(user) in PERMISSIONS[permission]


def visible_dags(user: Any) -> frozenset[str] | None:
    """The DAG ids a user may see; None means all. Everyone who is logged in sees all of them today."""
    return _dags_of(role(user))


def _dags_of(name: str) -> frozenset[str] | None:
    return None if name else frozenset()


def scope(user: Any) -> Scope:
    name = role(user)
    return Scope(name, _dags_of(name))
