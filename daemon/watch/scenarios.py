"""The closed list of stress scenarios: past windows, the worst spells on record, shocks, and chance."""

from datetime import date
from typing import Final

WINDOWS: Final[dict[str, tuple[date, date]]] = {
    "lehman_2008": (date(2008, 9, 12), date(2008, 11, 20)),
    "flash_crash_2010": (date(2010, 4, 30), date(2010, 5, 7)),
    "downgrade_2011": (date(2011, 7, 22), date(2011, 8, 8)),
    "china_2015": (date(2015, 8, 17), date(2015, 8, 25)),
    "volatility_2018": (date(2018, 1, 26), date(2018, 2, 8)),
    "selloff_2018": (date(2018, 10, 3), date(2018, 12, 24)),
    "pandemic_2020": (date(2020, 2, 19), date(2020, 3, 23)),
    "rates_2022": (date(2022, 1, 3), date(2022, 10, 12)),
    "banks_2023": (date(2023, 3, 8), date(2023, 3, 13)),
}
"""First and last close of each window, both included."""

WORST: Final[dict[str, int]] = {"worst_1_session": 1, "worst_5_sessions": 5, "worst_20_sessions": 20}
"""The benchmark's worst return over so many sessions in the stored history."""

SHOCKS: Final[dict[str, float]] = {"benchmark_down_5": -0.05, "benchmark_down_10": -0.10, "benchmark_down_20": -0.20}
"""Return of the benchmark."""

VOLATILITY_SPIKE, VIX_POINTS = "vix_up_20", 20.0
MONTE_CARLO: Final[dict[str, float]] = {"monte_carlo_95": 0.95, "monte_carlo_99": 0.99}
"""Confidence of the simulated loss over HORIZON sessions."""
HORIZON_SESSIONS, DRAWS, SEED = 10, 10_000, 20_080_915

SCENARIOS: Final = (*WINDOWS, *WORST, *SHOCKS, VOLATILITY_SPIKE, *MONTE_CARLO)
FACTORS: Final = ("benchmark", "volatility", "momentum", "low_volatility", "size")
"""Factors of the betas, also a closed list of a metric's label."""
