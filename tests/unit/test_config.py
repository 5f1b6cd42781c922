"""Settings: every value is typed, says where it came from, and never shows a secret."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest
from pydantic import ValidationError

import config
from config import CHECKOUT, ConfigError, Settings, load
from risk.base import RiskLimits

SECRET = "hush-hush-5d1c"
PAIRED = {"ALPACA_API_KEY": "key-1", "ALPACA_API_SECRET": SECRET}


def problems(environ: dict[str, str], env_file: Path | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(environ, env_file=env_file)
    return list(caught.value.problems)


def test_an_empty_environment_gives_the_shipped_settings():
    settings = load({}, env_file=None)
    assert (settings.listen_host, settings.listen_port, settings.broker) == ("127.0.0.1", 8321, "alpaca")
    assert settings.alpaca_base_url == "https://paper-api.alpaca.markets"
    assert settings.state_dir == CHECKOUT / "var"
    assert settings.strategies == () and settings.strategy_params == {}
    assert not settings.has_alpaca_keys


def test_limits_carry_every_field_of_risk_limits_with_its_own_default():
    assert load({}, env_file=None).limits() == RiskLimits()


@pytest.mark.parametrize("name", list(asdict(RiskLimits())))
def test_each_limit_can_be_set_from_its_own_variable(name):
    text = "7" if name.endswith("_sessions") else "0.125"
    limits = load({f"ALLOCD_{name.upper()}": text}, env_file=None).limits()
    assert asdict(limits) == asdict(RiskLimits()) | {name: float(text)}


def test_an_unknown_name_is_refused_with_the_nearest_known_one():
    (line,) = problems({"ALLOCD_LISTEN_PROT": "1"})
    assert "ALLOCD_LISTEN_PROT" in line and "ALLOCD_LISTEN_PORT" in line and "environment" in line


def test_an_unknown_name_in_the_env_file_is_refused_too(tmp_path):
    file = tmp_path / ".env"
    file.write_text("ALLOCD_KAPA=0.5\n")
    (line,) = problems({}, file)
    assert "ALLOCD_KAPPA" in line and str(file) in line


def test_a_lower_case_spelling_is_refused_instead_of_ignored():
    (line,) = problems({"allocd_kappa": "0.5"})
    assert "ALLOCD_KAPPA" in line


def test_names_of_other_programs_and_of_the_test_suite_are_left_alone():
    load({"PATH": "/bin", "HF_TOKEN": "x", "OTEL_SERVICE_NAME": "y", "ALLOCD_CI": "1", "ALLOCD_SHARED_DIR": "/x"}, env_file=None)


def test_every_problem_is_reported_at_once_one_line_each_with_its_variable():
    lines = problems({"ALLOCD_TAU": "much", "ALLOCD_LISTEN_PORT": "70000", "ALLOCD_NO_SUCH": "1", "ALPACA_API_KEY": "k"})
    assert sorted(re.match(r"\w+", line)[0] for line in lines) == sorted(
        ["ALLOCD_TAU", "ALLOCD_LISTEN_PORT", "ALLOCD_NO_SUCH", "ALPACA_API_SECRET"]
    )
    assert all("\n" not in line for line in lines)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ALLOCD_TAU", "nan"),
        ("ALLOCD_TAU", "0"),
        ("ALLOCD_KAPPA", "1.01"),
        ("ALLOCD_MAX_SYMBOL_FRAC", "-0.1"),
        ("ALLOCD_DRAWDOWN_HALT_FRAC", "0"),
        ("ALLOCD_MIN_NOTIONAL_USD", "Infinity"),
        ("ALLOCD_QTY_DECIMALS", "10"),
        ("ALLOCD_BROKER", "robinhood"),
        ("ALLOCD_LOG_LEVEL", "loud"),
        ("ALLOCD_STRATEGY_PARAMS", "{"),
        ("ALLOCD_STRATEGY_PARAMS", '{"a": 1}'),
        ("ALLOCD_BENCHMARK", "spy"),
        ("ALLOCD_TRAINING_MONTHS", "13"),
        ("ALLOCD_TRAINING_MONTHS", "jan"),
        ("ALLOCD_TRAINING_MONTHS", ","),
        ("ALLOCD_SANDBOX_START", "next week"),
        ("ALPACA_BASE_URL", "https://paper-api.alpaca.markets/v2"),
        ("ALPACA_BASE_URL", "paper-api.alpaca.markets"),
    ],
)
def test_a_value_out_of_bounds_is_refused_and_its_variable_named(name, text):
    (line,) = problems({name: text})
    assert line.startswith(name) and "environment" in line


def test_a_drawdown_that_would_scale_down_from_deeper_than_it_scales_to_is_refused_in_one_line():
    (line,) = problems({"ALLOCD_DRAWDOWN_SCALE_FROM_FRAC": "0.2"})
    assert line.startswith("ALLOCD_DRAWDOWN_SCALE_FROM_FRAC is 0.2, beyond ALLOCD_DRAWDOWN_SCALE_TO_FRAC, which is 0.15")
    assert load({"ALLOCD_DRAWDOWN_SCALE_FROM_FRAC": "0.15"}, env_file=None).drawdown_scale_from_frac == 0.15


def test_the_environment_wins_over_the_env_file(tmp_path):
    file = tmp_path / ".env"
    file.write_text("ALLOCD_LISTEN_PORT=1111\nALLOCD_LOG_LEVEL=debug\n")
    settings = load({"ALLOCD_LISTEN_PORT": "2222"}, env_file=file)
    assert (settings.listen_port, settings.log_level) == (2222, "debug")


def test_credential_files_win_over_the_environment_for_secrets_and_only_for_them(tmp_path):
    (tmp_path / "alpaca_api_secret").write_text(f"{SECRET}\n")
    (tmp_path / "allocd_listen_port").write_text("1")
    settings = load({"CREDENTIALS_DIRECTORY": str(tmp_path), **PAIRED, "ALPACA_API_SECRET": "from-env"}, env_file=None)
    assert settings.alpaca_api_secret.get_secret_value() == SECRET
    assert settings.listen_port == 8321


def test_a_credentials_directory_that_cannot_be_read_is_a_problem(tmp_path):
    (line,) = problems({"CREDENTIALS_DIRECTORY": str(tmp_path / "gone")})
    assert "CREDENTIALS_DIRECTORY" in line


def test_an_empty_value_counts_as_not_set(tmp_path):
    file = tmp_path / ".env"
    file.write_text("QUIVER_API_KEY=abc\n")
    assert load({"ALPACA_API_KEY": "", "ALLOCD_TAU": ""}, env_file=file) == load({"QUIVER_API_KEY": "abc"}, env_file=None)


def test_a_dollar_in_the_env_file_is_a_dollar(tmp_path):
    file = tmp_path / ".env"
    file.write_text("API_TOKEN='a${HOME}b'\n")
    assert load({}, env_file=file).api_token.get_secret_value() == "a${HOME}b"


@pytest.mark.parametrize("text", ["a_one, b_two", '["a_one", "b_two"]', "a_one,b_two,"])
def test_strategies_may_be_a_comma_list_or_json(text):
    assert load({"ALLOCD_STRATEGIES": text}, env_file=None).strategies == ("a_one", "b_two")


def test_strategy_parameters_are_json_by_strategy():
    assert load({"ALLOCD_STRATEGY_PARAMS": '{"a": {"top": 3}}'}, env_file=None).strategy_params == {"a": {"top": 3}}


def test_settings_are_frozen():
    with pytest.raises(ValidationError):
        load({}, env_file=None).tau = 1.0


def test_a_secret_shows_in_no_repr_no_fingerprint_and_no_error():
    environ = {config.variable(name): SECRET for name in config.secret_fields()}
    settings = load(environ, env_file=None)
    assert SECRET not in repr(settings) + str(settings) + json.dumps(settings.public()) + settings.model_dump_json()
    assert settings.fingerprint() == load({}, env_file=None).fingerprint()
    assert settings.secrets() == (SECRET,) * len(config.secret_fields())
    assert SECRET not in "\n".join(problems({**environ, "ALLOCD_TAU": "x"}))


def test_the_fingerprint_changes_with_any_setting_and_only_then():
    plain = load({}, env_file=None).fingerprint()
    assert re.fullmatch(r"[0-9a-f]{64}", plain)
    assert load({"ALLOCD_TAU": "0.05"}, env_file=None).fingerprint() == plain
    assert load({"ALLOCD_TAU": "0.06"}, env_file=None).fingerprint() != plain


def test_a_relative_state_directory_lies_in_the_checkout_wherever_the_process_was_started(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load({"ALLOCD_STATE_DIR": "elsewhere"}, env_file=None).state_dir == CHECKOUT / "elsewhere"
    assert load({"ALLOCD_STATE_DIR": str(tmp_path)}, env_file=None).state_dir == tmp_path


def test_a_child_inherits_the_environment_without_the_secrets(monkeypatch):
    monkeypatch.setenv("ALPACA_API_SECRET", SECRET)
    monkeypatch.setenv("ALLOCD_TAU", "0.1")
    child = config.child_environment({"ALLOCD_KAPPA": "1"})
    assert SECRET not in child.values()
    assert (child["ALLOCD_TAU"], child["ALLOCD_KAPPA"]) == ("0.1", "1")


def test_every_setting_has_a_meaning_and_a_line_with_its_default_in_the_example(tmp_path):
    example = (CHECKOUT / ".env.example").read_text()
    listed = re.findall(r"^#([A-Z][A-Z0-9_]+)=", example, flags=re.M)
    assert listed == [config.variable(name) for name in Settings.model_fields]
    assert all(field.description and f"# {field.description}\n" in example for field in Settings.model_fields.values())
    filled = tmp_path / ".env"
    filled.write_text(re.sub(r"^#(?=[A-Z][A-Z0-9_]+=)", "", example, flags=re.M))
    assert load({}, env_file=filled) == load({}, env_file=None)
