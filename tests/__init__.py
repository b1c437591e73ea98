"""The tests: unit needs no service, db and web have a PostgreSQL of their own."""
