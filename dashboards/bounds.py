"""How far a measured share can be off: exact one-sided 95 % bounds (Clopper and Pearson), without a library (pure)."""

from __future__ import annotations

import math
from collections.abc import Callable

SURE = 0.95
STEPS = 60  # bisections: 2**-60 of the whole is beyond a float's need


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function I_x(a, b), by Lentz's continued fraction."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly, its mirror does not
        return 1.0 - beta_cdf(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    return front * _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1.0 / max(1.0 - (a + b) * x / (a + 1), tiny)
    found = d
    for m in range(1, 500):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / _not_zero(1.0 + term * d, tiny)
            c = _not_zero(1.0 + term / c, tiny)
            found *= d * c
        if abs(d * c - 1.0) < 1e-14:
            break
    return found


def _not_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny


def upper(k: float, n: float, sure: float = SURE) -> float:
    """The share that is exceeded with so little chance that k of n is that few. k and n need not be whole."""
    return 1.0 if k >= n else _where(lambda x: beta_cdf(x, k + 1, n - k) >= sure)


def lower(k: float, n: float, sure: float = SURE) -> float:
    """The share below which k of n would be that many with little chance only."""
    return 0.0 if k <= 0 else _where(lambda x: beta_cdf(x, k, n - k + 1) >= 1 - sure)


def _where(reached: Callable[[float], bool]) -> float:
    lo, hi = 0.0, 1.0
    for _ in range(STEPS):
        middle = (lo + hi) / 2
        lo, hi = (lo, middle) if reached(middle) else (middle, hi)
    return hi
