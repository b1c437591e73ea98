"""The addresses of contracts and findings with their OpenAPI description."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers

from dashboards.api import contracts
from dashboards.api.described import JSON, LISTS, extend, one_view, parameters, problems
from dashboards.api.shapes import example, page_serializer, serializer
from dashboards.lists import SUBJECTS
from dashboards.queries.findings import ContractRow, FindingRow

ROW: dict[str, Any] = example(ContractRow) | {
    "prefix": "/orders", "source": "declared", "state": "on", "by": "ann", "host": "", "agent": "",
    "pools": [{"name": "/Common/pool_orders", "count": 0, "since": "2026-01-31T08:00:00Z"}],
}  # fmt: skip


class DeclareSerializer(serializers.Serializer[Any]):
    """To which pools an endpoint sends requests of a path. Declared again for the same requests, it is changed."""

    endpoint_id = serializers.IntegerField()
    pools = serializers.ListField(child=serializers.CharField(), help_text="names of F5 pools, 1 to 12")
    prefix = serializers.CharField(required=False, help_text="begin of the path in whole segments; / without it")
    host = serializers.CharField(required=False, help_text="one host only")
    agent = serializers.CharField(required=False, help_text="one kind of client only: python-requests")
    note = serializers.CharField(required=False, help_text="why, at most 1,000 characters")


class ChangeSerializer(serializers.Serializer[Any]):
    """At least one of both."""

    state = serializers.ChoiceField(("on", "off"), required=False)
    accept = serializers.CharField(required=False, help_text="name of a pool that is expected as well from now on")


def _shown(name: str, status: str = "200") -> OpenApiResponse:
    shown = OpenApiExample(
        f"{name}-example", summary="example", value=ROW, response_only=True, media_type=JSON, status_codes=[status]
    )
    return OpenApiResponse(serializer(ContractRow), description="The contract", examples=[shown])


def _list() -> Any:
    subject = SUBJECTS["contracts"]
    view = type("ContractList", (contracts.ContractList,), {"subject": subject, "__doc__": subject.summary})
    body = {"filter": "Contracts of routes, the last 30 days", "complete": "Log data complete to 08:41:55 UTC",
            "complete_to": "2026-01-31T08:41:55Z", "next": None, "results": [ROW]}  # fmt: skip
    shown = OpenApiExample(
        "contracts-example", summary="example", value=body, response_only=True, media_type=JSON, status_codes=["200"]
    )
    read = extend_schema(
        operation_id="list-contracts", summary=subject.summary, tags=["contracts"],
        parameters=parameters("contracts", paged=True),
        responses={(200, JSON): OpenApiResponse(page_serializer(ContractRow), description="A page", examples=[shown]),
                   **problems(400, 401, 429, 503)},
    )  # fmt: skip
    declare = extend_schema(
        operation_id="declare-contract", summary="Declare to which pools requests of a path go.", tags=["contracts"],
        request=DeclareSerializer,
        responses={(201, JSON): _shown("declared", "201"), **problems(400, 401, 403, 429)},
    )  # fmt: skip
    return extend(extend(view, read), declare, "post")


def _one() -> Any:
    view = type("ContractOne", (contracts.ContractOne,), {"__doc__": contracts.ContractOne.__doc__})
    read = extend_schema(
        operation_id="get-contract", summary="One contract.", tags=["contracts"],
        responses={(200, JSON): _shown("contract"), **problems(401, 404, 429)},
    )  # fmt: skip
    change = extend_schema(
        operation_id="change-contract", summary="Switch a contract on or off, or accept one more pool.", tags=["contracts"],
        request=ChangeSerializer, responses={(200, JSON): _shown("changed"), **problems(400, 401, 403, 404, 429)},
    )  # fmt: skip
    withdraw = extend_schema(
        operation_id="withdraw-contract", summary="Withdraw a declared contract; what was learned counts again.",
        tags=["contracts"], responses={(200, JSON): _shown("withdrawn-contract"), **problems(400, 401, 403, 404, 429)},
    )  # fmt: skip
    return extend(extend(extend(view, read), change, "patch"), withdraw, "delete")


LISTS["contracts"] = _list()
CONTRACTS = {
    "contracts/<int:ident>": _one(),
    "findings/<int:ident>": one_view(
        contracts.FindingRead, "finding", FindingRow, "One finding with its reasons and its first request.", "findings"
    ),
}
