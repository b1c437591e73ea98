"""One turn of a worker at a feed, as `ingest.tasks.ingest_feed` takes it, here and now."""

from __future__ import annotations

from ingest import leases, pipeline
from ingest.models import Feed


def ingest(feed: Feed) -> int:
    """Read what is new of this feed, as it stands in the database; the number of items read."""
    epoch = leases.take(feed.pk, "test")
    assert epoch is not None
    try:
        return pipeline.ingest(Feed.objects.select_related("device", "airflow").get(pk=feed.pk), epoch)
    finally:
        leases.release(feed.pk, epoch)
