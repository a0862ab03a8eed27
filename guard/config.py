"""The settings of `guard serve`: one schema for the YAML file, the environment (GUARD_*) and the command line.

Precedence: command line, then environment, then file, then default.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from guard.asgi import DEFAULT_MAX_BODY_BYTES
from guard.errors import ConfigError
from guard.policy import AVAILABLE, Action, Policy

ENVIRONMENT_PREFIX = "GUARD_"
# GUARD_* names that aren't settings: our own of other use, and what Kubernetes sets for a Service called guard.
NOT_SETTINGS = re.compile(r"GUARD_(?:CONFIG|DATA|E2E_HOME|LAW_CASES|SERVICE_.*|PORT(?:_.*)?)")


class Settings(BaseModel):
    """Every key of guard.yaml; `description` is what the documentation and --help show."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    index: Path = Field(description="folder of the index that `indexer build` made")
    upstream: str = Field(description="URL of the inference server, such as http://127.0.0.1:8000")
    listen: str = Field(default="127.0.0.1:8080", description="address to listen on, HOST:PORT")
    action: Action = Field(default=Action.BLOCK, description="what is done with a run: " + " or ".join(AVAILABLE))
    threshold: int = Field(default=128, ge=1, description="letters of a verbatim run that is acted on")
    hold_after: int = Field(default=36, ge=1, description="letters of a run that may leave before the rest is held")
    marker: str = Field(default="[…]", description="what stands in for a redacted run")
    max_body_bytes: int = Field(
        default=DEFAULT_MAX_BODY_BYTES, ge=1024, description="longest request body that is taken"
    )

    @field_validator("listen")
    @classmethod
    def _listen_is_address(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        host = host.strip("[]")
        try:
            if ":" in host:
                ipaddress.IPv6Address(host)
            usable = bool(host) and port.isascii() and port.isdigit() and int(port) <= 65535
        except ValueError:
            usable = False
        if not usable:
            raise ValueError("write it as HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080")
        return value

    @field_validator("marker")
    @classmethod
    def _marker_is_plain(cls, value: str) -> str:
        if len(value) > 200 or any(unicodedata.category(char) in ("Cc", "Cs") for char in value):
            raise ValueError("at most 200 characters, no control characters or lone surrogates")
        return value

    @property
    def host_port(self) -> tuple[str, int]:
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    def policy(self) -> Policy:
        """Raises PolicyError where the settings contradict each other."""
        return Policy(self.threshold, self.hold_after, self.action, self.marker)


def load_settings(file: Path | None, environment: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """Raises ConfigError that names the key, where it was set, and the remedy."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for source in (_from_file(file), _from_environment(environment), _from_flags(flags)):
        for key, (value, origin) in source.items():
            values[key], origins[key] = value, origin
    for key, origin in origins.items():
        if key not in Settings.model_fields:
            known = ", ".join(Settings.model_fields)
            raise ConfigError(f"{origin}: unknown key '{key}': remove it, or write one of: {known}")
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        if first["type"] == "missing":
            flag = "--" + key.replace("_", "-")
            raise ConfigError(
                f"'{key}' is not set: give {flag}, {ENVIRONMENT_PREFIX}{key.upper()} or a line in the file"
            ) from None
        raise ConfigError(f"{origins[key]}: '{key}' is {values[key]!r}: {_remedy(key, first['msg'])}") from None


def _remedy(key: str, message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message if key != "action" else "write " + " or ".join(AVAILABLE)


def _from_file(file: Path | None) -> dict[str, tuple[Any, str]]:
    if file is None:
        return {}
    try:
        text = file.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f"{file}: can't read it ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from None
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{file}:1: must hold keys and values, such as 'action: block'")
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if key.value in lines:
            raise ConfigError(f"{file}:{key.start_mark.line + 1}: '{key.value}' stands there twice: remove one")
        lines[key.value] = key.start_mark.line + 1
    return {str(key): (value, f"{file}:{lines.get(str(key), 1)}") for key, value in values.items()}


def _from_environment(environment: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    return {
        name.removeprefix(ENVIRONMENT_PREFIX).lower(): (value, f"environment variable {name}")
        for name, value in environment.items()
        if name.startswith(ENVIRONMENT_PREFIX) and not NOT_SETTINGS.fullmatch(name)
    }


def _from_flags(flags: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    return {key: (value, "--" + key.replace("_", "-")) for key, value in flags.items() if value is not None}
