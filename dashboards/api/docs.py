"""The OpenAPI description as a file and as a page that is made on the server: no script, nothing from elsewhere."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularAPIView

from airf5.accounts import schema as _token_scheme  # noqa: F401  its import tells the generator of our tokens
from dashboards.api.views import Read

METHODS = ("get", "post", "delete")


class Schema(SpectacularAPIView):
    """Open to anybody: it describes addresses and holds no data."""

    authentication_classes: ClassVar[list[Any]] = Read.authentication_classes
    permission_classes: ClassVar[list[Any]] = []


def page(request: HttpRequest, patterns: list[Any]) -> HttpResponse:
    schema = SchemaGenerator(patterns=patterns).get_schema(request=None, public=True)
    operations = [
        _operation(path, method, item[method])
        for path, item in schema["paths"].items()
        for method in METHODS
        if method in item
    ]
    shapes = [_shape(name, shape) for name, shape in sorted(schema["components"]["schemas"].items())]
    return render(request, "api/docs.html", {"info": schema["info"], "operations": operations, "shapes": shapes})


def _operation(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    done = min(operation["responses"])  # 200, or 201 where something is made
    ok = operation["responses"][done]["content"]["application/json"]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    example = next(iter(ok.get("examples", {}).values()), {}).get("value")
    return {
        "id": operation["operationId"],
        "path": path,
        "method": method.upper(),
        "body": _kind(body["schema"]) if body else "",
        "summary": operation["summary"],
        "parameters": [_parameter(parameter) for parameter in operation.get("parameters", ())],
        "codes": [(code, answer.get("description", "")) for code, answer in operation["responses"].items()],
        "answer": _kind(ok["schema"]),
        "example": json.dumps(example, indent=2, ensure_ascii=False),
    }


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    words = parameter["schema"].get("enum", ())
    return {**parameter, "place": parameter["in"], "kind": _kind(parameter["schema"]), "words": ", ".join(words)}


def _shape(name: str, shape: dict[str, Any]) -> dict[str, Any]:
    rows = [(field, _kind(kind), kind.get("description", "")) for field, kind in shape.get("properties", {}).items()]
    return {"name": name, "description": shape.get("description", ""), "rows": rows}


def _kind(schema: dict[str, Any]) -> str:
    """A type in a word: text, number, list of Reason …"""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "allOf" in schema:
        return " and ".join(_kind(part) for part in schema["allOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    words = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "true or false",
        "object": "object",
    }
    kind = "time" if schema.get("format") == "date-time" else words.get(str(schema.get("type")), "anything")
    return f"{kind} or null" if schema.get("nullable") else kind
