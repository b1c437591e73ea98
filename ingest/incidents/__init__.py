"""Open, extend, reopen and close incidents, from the verdicts and from what F5's monitors say.

`groups.py` says what is one incident, `alike.py` is its table of causes, `explained.py` marks what a greater trouble
explains, `onset.py` dates a change of the failure rate (all pure); `items.py` reads what speaks, `extent.py` from when to
when, `told.py` by which rows, `reach.py` how far; `update.py` is the story, and writes.
"""
