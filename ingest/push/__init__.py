"""The door that Telemetry Streaming pushes to: `POST /ingest/telemetry/<device>`, stored before it is answered.

`view` answers, `body` takes a body apart within bounds, `tokens` says who may, `spool` makes the lines durable. What
was stored is followed like every other spool file, and `ingest/store/telemetry.py` makes rows of it.
"""
