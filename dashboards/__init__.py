"""The read side: pages, REST API and exports over what the ingest has stored. It never writes a fact."""
