"""The request-log templates of a feed: one text or a list of texts in its configuration, compiled once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ingest.parsers.f5_request_log import Template, compile_template


class TemplateRefused(ValueError):
    """A template that cannot be used; the sentence says why."""


def texts(value: Any) -> tuple[str, ...]:
    """The templates as they were written: a text, a list of texts, or nothing."""
    found = [value] if isinstance(value, str) else value or []
    if not isinstance(found, list | tuple) or not all(isinstance(one, str) for one in found):
        raise TemplateRefused("A template is a text, or a list of texts.")
    return tuple(one for one in found if one.strip())


@lru_cache(maxsize=256)
def compiled(written: tuple[str, ...]) -> tuple[Template, ...]:
    """These templates, ready to read lines with."""
    try:
        return tuple(map(compile_template, written))
    except ValueError as error:
        raise TemplateRefused(f"The template cannot be used: {error}.") from error


def of(config: Mapping[str, Any]) -> tuple[Template, ...] | None:
    """The templates of a feed with this configuration; None when its lines are of a form that is known."""
    return compiled(texts(config.get("template"))) or None


def answers_only(value: Any) -> bool:
    """Whether these templates log responses and no requests: then no line waits for another half."""
    found = compiled(texts(value))
    return bool(found) and all(one.kind == "response" for one in found)
