"""The reverse proxy without the guard around it, to measure: python proxy_alone.py UPSTREAM_URL PORT"""

from __future__ import annotations

import sys

import uvicorn

from guard.proxy import ReverseProxy

if __name__ == "__main__":
    uvicorn.run(
        ReverseProxy(sys.argv[1]),
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        log_level="warning",
    )
