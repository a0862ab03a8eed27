"""`guard serve`: the sidecar, the guard around a reverse proxy to the inference server."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

import uvicorn

from guard.config import Settings, load_settings
from guard.index.file import open_index
from guard.middleware import GuardMiddleware
from guard.policy_arguments import add_policy_arguments
from guard.proxy import ReverseProxy

logger = logging.getLogger("guard")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, help="YAML file with any of these settings (also GUARD_CONFIG)")
    for key in ("index", "upstream", "listen", "max_body_bytes"):
        field = Settings.model_fields[key]
        text = field.description or ""
        if not field.is_required():
            text += f" (default: {field.default})"
        kind = int if field.annotation is int else str
        parser.add_argument("--" + key.replace("_", "-"), type=kind, metavar=key.upper(), help=text)
    add_policy_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Raises GuardError for a set-up that can't work: it refuses to start."""
    config = args.config or (Path(os.environ["GUARD_CONFIG"]) if "GUARD_CONFIG" in os.environ else None)
    flags = {key: getattr(args, key) for key in Settings.model_fields}
    settings = load_settings(config, os.environ, flags)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    app = guarded_app(settings)
    host, port = settings.host_port
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http="httptools",
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            date_header=False,
            timeout_graceful_shutdown=30,
        )
    )
    server.run()
    return 0 if server.started else 2


def guarded_app(settings: Settings) -> GuardMiddleware:
    index = open_index(settings.index)
    policy = settings.policy()
    proxy = ReverseProxy(settings.upstream, max_body_bytes=settings.max_body_bytes)
    app = GuardMiddleware(proxy, index=index, policy=policy, max_body_bytes=settings.max_body_bytes)
    logger.info(
        "%d works (index %s), runs of %d letters: %s, in front of %s",
        len(index.works), index.digest[:12], policy.threshold, policy.action, settings.upstream,
    )  # fmt: skip
    return app
