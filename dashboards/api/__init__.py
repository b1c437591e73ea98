"""The REST API: what the pages show, from the same filters and queries."""

from dashboards.api.problems import problem

__all__ = ["problem"]
