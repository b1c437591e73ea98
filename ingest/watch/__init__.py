"""What is not as it was, found in the requests themselves before a task fails: broken contracts, slow minutes, errors.

`learn`, `usual`, `chance`, `limits` and `series` are pure;
`reading` reads; `routes`, `minutes` tell the story and `noting` writes it down.
"""
