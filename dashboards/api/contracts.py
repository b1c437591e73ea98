"""Contracts over HTTP: read, declared, switched, a pool accepted, withdrawn; and one finding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import Http404
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from airf5.accounts import auth, roles
from dashboards.api.problems import Refusal
from dashboards.api.views import ListRead, Read
from dashboards.plain import plain
from dashboards.queries import findings
from ingest import contract_actions as actions

TEXTS = ("prefix", "host", "agent", "note")
CHANGES = ("state", "accept")


class ContractList(ListRead):
    """Contracts; POST declares one."""

    http_method_names: ClassVar[list[str]] = ["get", "post", "head", "options"]

    def post(self, request: Request) -> Response:
        _may(request)
        body = _body(request.data, ("endpoint_id", "pools", *TEXTS))
        endpoint, pools = body.pop("endpoint_id", None), body.pop("pools", None)
        if not isinstance(endpoint, int) or isinstance(endpoint, bool):
            raise Refusal("endpoint_id is the number of an endpoint.")
        if not isinstance(pools, list) or not all(isinstance(pool, str) for pool in pools):
            raise Refusal("pools is a list of names of F5 pools.")
        texts = _texts(body, TEXTS)
        prefix = texts.pop("prefix", "/")
        with _Refused():
            made = actions.declare_contract(endpoint, prefix, pools, *_who(request), **texts, address=_from(request))
        return Response(plain(_one(made.pk)), status=201)


class ContractOne(Read):
    """One contract; PATCH switches it on or off or accepts a pool, DELETE withdraws a declared one."""

    http_method_names: ClassVar[list[str]] = ["get", "patch", "delete", "head", "options"]

    def get(self, request: Request, ident: int) -> Response:
        return Response(plain(_one(ident)))

    def patch(self, request: Request, ident: int) -> Response:
        _may(request)
        _one(ident)
        given = _texts(_body(request.data, CHANGES), CHANGES)
        if not given or given.get("state", "on") not in ("on", "off"):
            raise Refusal("Give state as on or off, or accept with the name of a pool.")
        with _Refused():
            if "accept" in given:
                actions.accept_pool(ident, given["accept"], *_who(request), _from(request))
            if "state" in given:
                actions.switch_contract(ident, given["state"] == "on", *_who(request), _from(request))
        return Response(plain(_one(ident)))

    def delete(self, request: Request, ident: int) -> Response:
        _may(request)
        was = _one(ident)
        with _Refused():
            actions.withdraw_contract(ident, *_who(request), _from(request))
        return Response(plain(was))


class FindingRead(Read):
    def get(self, request: Request, ident: int) -> Response:
        found = findings.finding(ident)
        if found is None:
            raise Http404("There is no such finding.")
        return Response(plain(found))


class _Refused:
    """What the actions refuse is a problem document."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, _: Any) -> None:
        if isinstance(error, actions.Refused):
            raise Refusal(str(error)) from error


def _who(request: Request) -> tuple[str]:
    return (request.user.get_username(),)


def _from(request: Request) -> str:
    return auth.address(request._request)


def _may(request: Request) -> None:
    if not roles.may(request.user, "contracts"):
        raise PermissionDenied("Declaring and switching contracts is for operators and admins.")


def _one(ident: int) -> findings.ContractRow:
    found = findings.contract(ident)
    if found is None:
        raise Http404("There is no such contract.")
    return found


def _body(body: Any, known: tuple[str, ...]) -> dict[str, Any]:
    """A JSON object with these fields and no others."""
    if not isinstance(body, Mapping):
        raise Refusal(f"Send a JSON object with {', '.join(known)}.")
    for name in body:
        if name not in known:
            raise Refusal(f"There is no field {str(name)[:60]!r} here; known are: {', '.join(known)}.")
    return dict(body)


def _texts(body: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, str]:
    for name in known:
        if name in body and not isinstance(body[name], str):
            raise Refusal(f"{name} is a text.")
    return {name: body[name] for name in known if name in body}
