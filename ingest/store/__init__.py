"""The only writer of facts: records in, rows out, by subject."""
