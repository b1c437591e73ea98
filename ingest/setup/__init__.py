"""How a source becomes one: `source_fields` is the table of what it has, filled by a page or by `source_file`.

`source_setup` is a source as a page knows it; `source_secrets` keeps its secrets, references or sealed; `templates` its
request-log template; `checks` tries it out in a worker.
"""
