"""Complete, or it says so: what is known to be missing, what the other side counted, and whose clock was wrong.

`ledger` holds the gaps of each feed, `recount` sets the counters of F5 and Airflow against what is stored, `clocks` measures
devices and workers, `rejects` reads unreadable lines again. `intervals`, `usual` and `skew` are their rules, without a database.
"""
