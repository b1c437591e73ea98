"""Wiring: settings, services, URLs and the schedule. It knows nothing of Airflow or F5."""
