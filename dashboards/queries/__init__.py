"""Reads by subject: a Filter and a Scope in, small frozen dataclasses out; nothing here writes."""
