"""What each provider allows, by group: one home, so that every dataset of a provider draws on the same allowance.

Sources: the providers' own statements where they publish a limit (Quiver, SEC, LDA.gov, openFDA, Reddit, Alpaca), else a pace that
nobody has been blocked for. A setting may lower a limit and never raise it.
"""

from scrapers.base import Rate

QUIVER_100_MINUTE = Rate(group="quiver-100-minute", requests=100, per_s=60.0)
QUIVER_10_MINUTE = Rate(group="quiver-10-minute", requests=10, per_s=60.0)
"""Also for endpoints whose group is not documented."""
QUIVER_200_HOUR = Rate(group="quiver-200-hour", requests=200, per_s=3600.0)
QUIVER_5_HOUR = Rate(group="quiver-5-hour", requests=5, per_s=3600.0)
"""Every bulk endpoint."""
QUIVER_PAGES = Rate(group="quiver-pages", requests=1, per_s=5.0)
SEC = Rate(group="sec", requests=8, per_s=1.0)
"""Of the 10 a second that the SEC allows: beyond them it blocks an address for about ten minutes."""
HOUSE = Rate(group="house-clerk", requests=1, per_s=1.0)
SENATE = Rate(group="senate-efd", requests=1, per_s=3.0)
USASPENDING = Rate(group="usaspending", requests=1, per_s=1.0)
LDA = Rate(group="lda", requests=15, per_s=60.0)
CLINICALTRIALS = Rate(group="clinicaltrials", requests=1, per_s=1.0)
FEDERAL_REGISTER = Rate(group="federal-register", requests=1, per_s=1.0)
OPENFDA = Rate(group="openfda", requests=1000, per_s=86_400.0)
WIKIMEDIA = Rate(group="wikimedia", requests=1, per_s=1.0)
"""The REST service and the pages of Wikipedia together."""
REDDIT = Rate(group="reddit", requests=100, per_s=60.0)
APEWISDOM = Rate(group="apewisdom", requests=10, per_s=900.0)
YAHOO = Rate(group="yahoo", requests=1, per_s=1.0)
ITUNES = Rate(group="itunes", requests=20, per_s=60.0)
GOOGLE_TRENDS = Rate(group="google-trends", requests=1, per_s=10.0)
ALPACA_DATA = Rate(group="alpaca-data", requests=200, per_s=60.0)
ALPACA_TRADING = Rate(group="alpaca-trading", requests=10, per_s=60.0)
"""Of the 200 a minute of a key, nearly all of which belong to the trading itself."""
CBOE = Rate(group="cboe", requests=10, per_s=60.0)
DATAHUB = Rate(group="datahub", requests=10, per_s=60.0)
