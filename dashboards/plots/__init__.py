"""One module a page: rows of a query in, a Plot of dashboards.timeline out (pure)."""
