"""Every setting of allocd: its name, type, default and meaning, and the only place that reads the environment.

A value comes from the first of: a file in $CREDENTIALS_DIRECTORY (secrets only), the environment, the `.env` file of the
checkout. A variable that is set but empty counts as not set. Names without a prefix are the ones that the outside world
already uses (ALPACA_API_KEY, PG_URI); all others are ALLOCD_<FIELD>, and an unknown ALLOCD_ name is refused.
"""

import os

# Sums over threads depend on their number, and decisions must be reproducible. Numeric libraries read these when they
# are first imported, hence before every other import.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from risk.base import RiskLimits

CHECKOUT = Path(__file__).resolve().parent
ENV_FILE = CHECKOUT / ".env"
PREFIX = "ALLOCD_"
UNPREFIXED = frozenset(
    "alpaca_api_key alpaca_api_secret alpaca_base_url quiver_api_key reddit_client_id reddit_client_secret pg_uri api_token".split()
)
# Read by the test suite alone, and often set around a daemon that a test starts.
TEST_VARIABLES = frozenset({"ALLOCD_CI", "ALLOCD_SHARED_DIR"})
# Ours alone: a child must not inherit them from the environment.
WITHHELD = frozenset({"CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "HF_TOKEN"})
DEFAULTS = RiskLimits()


class ConfigError(Exception):
    """Settings that cannot be used: one line per problem, each with the variable, where it was set, and what to do."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def variable(field: str) -> str:
    """The environment variable of a field of Settings."""
    return field.upper() if field in UNPREFIXED else f"{PREFIX}{field.upper()}"


def _listed(value: object) -> object:
    if not isinstance(value, str) or value.lstrip().startswith("["):
        return _parsed(value)
    return [name.strip() for name in value.split(",") if name.strip()]


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON: {error}") from None


def _base_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write an http or https URL")
    if parts.path.strip("/") or parts.query or parts.username:
        raise ValueError("write only scheme and host, without a path such as /v2 and without a user name")
    return value.rstrip("/")


def _absolute(path: Path) -> Path:
    return CHECKOUT / path.expanduser()


def _folder(text: str) -> str:
    return str(_absolute(Path(text))) if text else ""


def _sources(value: object) -> object:
    """Each dataset's source as a name or a list of names."""
    found = _parsed(value)
    return {k: (v,) if isinstance(v, str) else v for k, v in found.items()} if isinstance(found, dict) else found


def _some_month(value: tuple[int, ...]) -> tuple[int, ...]:
    if not value:
        raise ValueError("write at least one month")
    return value


def _contact(value: str) -> str:
    if value and not re.fullmatch(r"(https?://|[^@\s<>()]+@)[^@\s<>()]+\.[^@\s<>()]+", value):
        raise ValueError("write a mail address or an http(s) address under which a data service can reach you")
    return value


NameList = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Months = Annotated[tuple[Annotated[int, Field(ge=1, le=12)], ...], BeforeValidator(_listed), AfterValidator(_some_month)]
JsonObject = Annotated[dict[str, dict[str, Any]], BeforeValidator(_parsed)]
SourceNames = Annotated[dict[str, Annotated[tuple[str, ...], Field(min_length=1)]], BeforeValidator(_sources)]
Budgets = Annotated[dict[str, Annotated[int, Field(ge=1)]], BeforeValidator(_parsed)]
Contact = Annotated[str, AfterValidator(_contact)]
Folder = Annotated[str, AfterValidator(_folder)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Usd = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    """All settings, validated and frozen. `_frac` is a fraction of NAV, `_s` seconds, `_bps` hundredths of a percent."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", alias_generator=variable, populate_by_name=True, hide_input_in_errors=True, validate_default=True
    )

    # Accounts and keys.
    alpaca_api_key: SecretStr | None = Field(None, description="Alpaca key id. With the secret: trade on that account; without: sandbox.")
    alpaca_api_secret: SecretStr | None = Field(None, description="Alpaca secret key.")
    alpaca_base_url: BaseUrl = Field("https://paper-api.alpaca.markets", description="Alpaca trading host, scheme and host only.")
    quiver_api_key: SecretStr | None = Field(None, description="Quiver Quantitative token; without it free sources stand in.")
    reddit_client_id: SecretStr | None = Field(None, description="Reddit application id.")
    reddit_client_secret: SecretStr | None = Field(None, description="Reddit application secret.")
    pg_uri: SecretStr | None = Field(None, description="PostgreSQL server to use; without it allocd starts its own under state_dir.")
    api_token: SecretStr | None = Field(None, description="Bearer token of the operator API; without it the API is closed.")

    # The process.
    state_dir: AbsolutePath = Field(CHECKOUT / "var", description="Where what must survive a restart is kept; relative to the checkout.")
    listen_host: str = Field("127.0.0.1", min_length=1, description="Address that the HTTP server listens on.")
    listen_port: int = Field(8321, ge=0, le=65535, description="Port of the HTTP server; 0 takes any free one.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe event that is logged.")
    log_json: Literal["auto", "true", "false"] = Field("auto", description="JSON log lines; auto means unless stdout is a terminal.")
    broker: Literal["alpaca", "builtin"] = Field("alpaca", description="alpaca, or the built-in paper exchange (builtin).")
    contact: Contact = Field("", description="Mail address or URL sent to data services; the SEC and Wikimedia insist on one.")

    # Data.
    sources: SourceNames = Field({}, description='Sources in place of the first choice, JSON: {"congress_trades": ["house_clerk"]}.')
    rate_budget: Budgets = Field({}, description='Requests per period by group, JSON, below the provider\'s limit: {"sec": 4}.')
    raw_retention_days: Annotated[int, Field(ge=0)] = Field(90, description="Days for which raw answers are kept; 0 keeps no bodies.")

    # Strategies.
    strategies: NameList = Field((), description="Strategies to run: names with commas, or a JSON list. Empty: all of the catalog.")
    strategy_params: JsonObject = Field({}, description='Overrides by strategy, JSON: {"congress_aggregate": {"top": 10}}.')
    strategy_limits: JsonObject = Field(
        {}, description='Limits of one strategy, JSON: {"kalman_pairs": {"target_volatility_frac": 0.1, "max_capital_frac": 0.15}}.'
    )
    short_selling: bool = Field(True, description="Sell short where a strategy wants to and the broker allows it.")
    strategy_dir: Folder = Field("", description="Folder of an operator's own strategies, one file each; empty: none.")
    strategy_timeout_s: Positive = Field(
        10.0, description="Seconds for one evaluation of an own strategy; 3 times that for all of a session."
    )

    # Training.
    training_months: Months = Field((1, 4, 7, 10), description="Months in whose first session models are trained, 1 to 12 with commas.")

    # Allocation and risk: the fields of risk.base.RiskLimits.
    risk_aversion: Positive = Field(DEFAULTS.risk_aversion, description="gamma of the min-max optimisation.")
    tau: Positive = Field(DEFAULTS.tau, description="Uncertainty of the Black-Litterman prior.")
    kappa: Fraction = Field(DEFAULTS.kappa, description="Blend of risk budgets: 1 is equal risk, 0 the optimiser's weights.")
    max_sleeve_frac: Fraction = Field(DEFAULTS.max_sleeve_frac, description="Cap of one strategy.")
    max_symbol_frac: Fraction = Field(DEFAULTS.max_symbol_frac, description="Cap of one stock.")
    max_fund_frac: Fraction = Field(DEFAULTS.max_fund_frac, description="Cap of one exchange-traded fund.")
    max_sector_frac: Fraction = Field(DEFAULTS.max_sector_frac, description="Cap of one GICS sector.")
    max_gross_frac: Annotated[float, Field(ge=0, le=2)] = Field(DEFAULTS.max_gross_frac, description="Cap of gross exposure.")
    max_var95_frac: Fraction = Field(DEFAULTS.max_var95_frac, description="Cap of the one-day historical VaR at 95 %.")
    max_cvar95_frac: Fraction = Field(DEFAULTS.max_cvar95_frac, description="Cap of the one-day historical CVaR at 95 %.")
    max_adv_frac: Fraction = Field(DEFAULTS.max_adv_frac, description="Cap of a position as a fraction of average daily volume.")
    max_turnover_frac: Annotated[float, Field(ge=0, le=4)] = Field(
        DEFAULTS.max_turnover_frac, description="Cap of what one decision trades, bought and sold together; forced selling excepted."
    )
    target_volatility_frac: NotNegative = Field(
        DEFAULTS.target_volatility_frac, description="Annual volatility to which the portfolio is scaled down; 0: none."
    )
    drawdown_scale_from_frac: Fraction = Field(
        DEFAULTS.drawdown_scale_from_frac, description="Drawdown from which on the portfolio is scaled down."
    )
    drawdown_scale_to_frac: Fraction = Field(
        DEFAULTS.drawdown_scale_to_frac, description="Drawdown at which it is down to drawdown_min_scale; linear between the two."
    )
    drawdown_min_scale: Fraction = Field(DEFAULTS.drawdown_min_scale, description="What is left of the portfolio there; 1: all.")
    max_regime_delta: NotNegative = Field(DEFAULTS.max_regime_delta, description="Cap of what a turbulent market adds to the aversion.")
    ramp_sessions: Count = Field(DEFAULTS.ramp_sessions, description="Sessions over which a new strategy ramps in.")
    min_track_record_sessions: Count = Field(
        DEFAULTS.min_track_record_sessions, description="Shadow returns that a strategy needs before its covariance counts."
    )
    drawdown_halt_frac: Annotated[float, Field(gt=0, le=1)] = Field(
        0.15, description="Drawdown from the high-water mark at which positions may only be reduced."
    )
    drawdown_halt_sessions: Annotated[int, Field(ge=0)] = Field(
        20, description="Sessions after which the drawdown brake lifts by itself; 0: only an operator lifts it."
    )

    # Planning and costs.
    min_notional_usd: Usd = Field(Decimal(25), description="Smallest trade worth sending.")
    band_frac: Fraction = Field(
        0.0005, description="A trade of a strategy in a symbol below this is left alone, unless it opens or closes."
    )
    qty_decimals: Annotated[int, Field(ge=0, le=9)] = Field(6, description="Decimals of a share quantity; 0 trades whole shares.")
    cost_bps: NotNegative = Field(2.0, description="Half-spread charged in shadow books and replay.")
    shadow_warmup_sessions: Annotated[int, Field(ge=0)] = Field(252, description="History over which a new shadow book is warmed up.")
    initial_cash_usd: Usd = Field(Decimal(100_000), description="Starting cash of the sandbox and of replays.")
    benchmark: str = Field("SPY", pattern=r"^[A-Z][A-Z0-9.]*$", description="Symbol that results are compared with.")
    settle_interval_s: Annotated[int, Field(ge=1)] = Field(30, description="Pause between sweeps of orders and fills in session.")

    # Storage.
    duckdb_memory_mb: Annotated[int, Field(ge=64)] = Field(1024, description="Memory cap of DuckDB.")
    duckdb_threads: Count = Field(2, description="Threads of DuckDB.")
    pg_shared_buffers_mb: Annotated[int, Field(ge=16)] = Field(128, description="Shared buffers of the embedded PostgreSQL.")

    # Sandbox.
    sandbox_seed: Annotated[int, Field(ge=0)] = Field(1, description="Seed of the generated market.")
    sandbox_start: date = Field(date(2024, 1, 2), description="First virtual day that is traded.")
    sandbox_symbols: Annotated[int, Field(ge=60, le=600)] = Field(120, description="Symbols in the generated market.")
    sandbox_history_sessions: Annotated[int, Field(ge=300, le=2520)] = Field(756, description="Sessions of history before the start.")
    sandbox_seconds_per_session: NotNegative = Field(2.0, description="Real seconds that one virtual session takes.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` passes in: it has to know where each value came from to say so."""
        return (init_settings,)

    def limits(self) -> RiskLimits:
        """The limits that bind the portfolio."""
        return RiskLimits(**{field.name: getattr(self, field.name) for field in fields(RiskLimits)})

    @property
    def has_alpaca_keys(self) -> bool:
        """True when both halves of an Alpaca key are set, so that the daemon trades on that account."""
        return self.alpaca_api_key is not None and self.alpaca_api_secret is not None

    def public(self) -> dict[str, Any]:
        """Every setting that is not a secret, by field name, as plain JSON values."""
        return self.model_dump(mode="json", exclude=set(secret_fields()))

    def secrets(self) -> tuple[str, ...]:
        """The secret values that are set, for the log's redaction only."""
        held = (getattr(self, field) for field in sorted(secret_fields()))
        return tuple(secret.get_secret_value() for secret in held if secret is not None)

    def fingerprint(self) -> str:
        """SHA-256, hexadecimal, of every setting that is not a secret."""
        return hashlib.sha256(json.dumps(self.public(), sort_keys=True).encode()).hexdigest()


def secret_fields() -> frozenset[str]:
    """Fields of Settings that hold a secret."""
    return frozenset(name for name, field in Settings.model_fields.items() if SecretStr in get_args(field.annotation))


def load(environ: Mapping[str, str] | None = None, *, env_file: Path | None = ENV_FILE) -> Settings:
    """Read the settings from `environ` (the process's own when None), credentials and `env_file` (a missing one is fine).

    Raises ConfigError with every problem found, not only the first.
    """
    environ = os.environ if environ is None else environ
    layers = [(f"{env_file}", _read_env_file(env_file)), ("the environment", environ)]
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        layers.append((directory, _read_credentials(Path(directory))))
    known = {variable(name): name for name in Settings.model_fields}
    values, origins, problems = dict[str, str](), dict[str, str](), list[str]()
    for origin, layer in layers:
        problems += [_unknown(name, origin, known) for name in sorted(layer) if _is_unknown(name, known)]
        found = {name: text for name, text in layer.items() if name in known and text}
        values.update(found)
        origins.update(dict.fromkeys(found, origin))
    settings, invalid = _validated(values, origins)
    problems += invalid + _half_pairs(values)
    problems += [] if settings is None else _disordered(settings)
    if settings is None or problems:
        raise ConfigError(problems)
    return settings


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a child process of ours: this one's without its secrets and systemd sockets, plus `extra`."""
    withheld = {variable(name) for name in secret_fields()} | WITHHELD
    return {name: text for name, text in os.environ.items() if name not in withheld} | dict(extra or {})


def bare_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment for code that is not ours: where programs are, language and thread counts, plus `extra`; nothing else of ours."""
    kept = ("PATH", "LANG", "LC_ALL", "TZ", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_CACHE_DIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | dict(extra)


def kernel_cache(modules: Path, directory: Path) -> None:
    """Have numba keep machine code in `directory` where it cannot keep it beside the `modules`, as under a service's own account.

    To be called before numba is first imported; a NUMBA_CACHE_DIR that is set already holds.
    """
    if not os.access(modules / "__pycache__" if (modules / "__pycache__").is_dir() else modules, os.W_OK):
        os.environ.setdefault("NUMBA_CACHE_DIR", str(directory))


def notify_socket() -> str | None:
    """Where systemd wants to be told about readiness, when it started us."""
    return os.environ.get("NOTIFY_SOCKET") or None


def _validated(values: Mapping[str, str], origins: Mapping[str, str]) -> tuple[Settings | None, list[str]]:
    try:
        return Settings.model_validate(values), []
    except ValidationError as error:
        return None, [_problem(detail, origins) for detail in error.errors(include_url=False, include_context=False)]


def _problem(detail: ErrorDetails, origins: Mapping[str, str]) -> str:
    name = str(detail["loc"][0])
    path = "".join(f"[{part!r}]" for part in detail["loc"][1:])
    field = next(field for field in Settings.model_fields if variable(field) == name)
    said = detail["msg"].removeprefix("Value error, ")
    return f"{name}{path} (from {origins.get(name, 'its default')}): {said[:1].lower()}{said[1:]}. Meaning: {_meaning(field)}"


def _meaning(field: str) -> str:
    return Settings.model_fields[field].description or ""


def _is_unknown(name: str, known: Mapping[str, str]) -> bool:
    return name.upper().startswith(PREFIX) and name not in known and name not in TEST_VARIABLES


def _unknown(name: str, origin: str, known: Mapping[str, str]) -> str:
    near = get_close_matches(name.upper(), known, n=1, cutoff=0.0)[0]
    return f"{name} (from {origin}): no such setting. The nearest known name is {near}; rename it or remove it."


def _half_pairs(values: Mapping[str, str]) -> list[str]:
    pairs = (("ALPACA_API_KEY", "ALPACA_API_SECRET"), ("REDDIT_CLIENT_ID", "REDDIT_CLIENT_SECRET"))
    halves = [(a, b) if a in values else (b, a) for a, b in pairs if (a in values) != (b in values)]
    return [f"{missing} is not set although {given} is: set both, or neither." for given, missing in halves]


def _disordered(settings: Settings) -> list[str]:
    start, end = settings.drawdown_scale_from_frac, settings.drawdown_scale_to_frac
    if start <= end:
        return []
    return [f"ALLOCD_DRAWDOWN_SCALE_FROM_FRAC is {start:g}, beyond ALLOCD_DRAWDOWN_SCALE_TO_FRAC, which is {end:g}: write it at or below."]


def _read_env_file(path: Path | None) -> dict[str, str]:
    if path is None or not path.is_file():
        return {}
    try:
        return {name: text or "" for name, text in dotenv_values(path, interpolate=False).items()}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read ({error}). Make it a readable UTF-8 file or remove it."]) from error


def _read_credentials(directory: Path) -> dict[str, str]:
    secrets = {variable(name) for name in secret_fields()}
    try:
        files = {path.name.upper(): path for path in directory.iterdir() if path.name.upper() in secrets}
        return {name: path.read_text(encoding="utf-8").strip() for name, path in files.items()}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"CREDENTIALS_DIRECTORY={directory}: cannot be read ({error}). Fix the unit's LoadCredential."]) from error
