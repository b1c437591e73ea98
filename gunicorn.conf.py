"""The production web server: `gunicorn airf5.wsgi` finds this file by its name."""

from __future__ import annotations

from airf5 import env

bind = f"{env.text('AIRF5_BIND', '127.0.0.1')}:{env.number('AIRF5_PORT', 8800, least=1, most=65535)}"
workers = env.number("AIRF5_WEB_WORKERS", 2, least=1, most=64)
threads = env.number("AIRF5_WEB_THREADS", 4, least=1, most=64)
worker_class = "gthread"
timeout = 60
graceful_timeout = 20
max_requests = 10_000
max_requests_jitter = 1_000
accesslog = None
control_socket_disable = True
