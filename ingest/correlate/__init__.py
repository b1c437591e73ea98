"""Sets are joined in SQL here, judged in pure Python elsewhere: a batch of tries in, their Facts out."""

from .gather import facts_of
from .tries import TryRow, read, span
from .world import World
from .world import of as world_of

__all__ = ["TryRow", "World", "facts_of", "read", "span", "world_of"]
