"""What a WSGI server serves: `airf5.wsgi:application`."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from airf5 import celery  # noqa: F401  # tasks that are asked for here go to our broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "airf5.settings")

application = get_wsgi_application()
