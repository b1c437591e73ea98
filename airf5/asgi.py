"""What a ASGI server serves: `airf5.asgi:application`."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from airf5 import celery  # noqa: F401  # tasks that are asked for here go to our broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "airf5.settings")

application = get_asgi_application()
