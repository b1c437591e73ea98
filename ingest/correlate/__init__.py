"""Sets are joined in SQL here, judged in pure Python elsewhere: a batch of tries in, their Facts out."""

from .gather import facts_of

__all__ = ["facts_of"]
