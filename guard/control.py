"""The guard's own endpoints under /guard/: health and metrics."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST

from guard.index.file import Index
from guard.metrics import Metrics

PREFIX = "/guard/"


def control_app(index: Index, metrics: Metrics) -> FastAPI:
    app = FastAPI(title="Regurgitation Guard", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/guard/health")
    async def health() -> dict[str, Any]:
        """Answers as soon as requests are guarded: the index is open and its kernels are compiled."""
        return {"status": "ok", "works": len(index.works), "index": index.digest}

    @app.get("/guard/metrics")
    async def metrics_page() -> Response:
        return Response(metrics.page(), media_type=CONTENT_TYPE_LATEST)

    return app
