"""Tone of short English texts by VADER's lexicon."""

from functools import cache
from typing import Any

MAX_CHARACTERS = 1000
"""A longer text is judged by its beginning: VADER is made for short ones, and its time grows with their length."""


def compound(text: str) -> float:
    """Tone from -1 (most negative) to 1 (most positive), 0 when neutral: VADER's compound score (Hutto and Gilbert 2014)."""
    return float(_analyzer().polarity_scores(text[:MAX_CHARACTERS])["compound"])


@cache
def _analyzer() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()
