"""Every setting, read from the environment once, in the order a reader asks. Nothing is started or connected to.

`.env.example` lists the variables, each with its default and one line of meaning.
"""

from __future__ import annotations

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from airf5 import embedded, env

BASE_DIR = Path(__file__).resolve().parent.parent

# Where does it keep what it writes?
AIRF5_HOME = env.folder("AIRF5_HOME", BASE_DIR / ".airf5")
AIRF5_SPOOL_DIR = env.folder("AIRF5_SPOOL_DIR", AIRF5_HOME / "spool")

# Who may reach it?
DEBUG = env.flag("AIRF5_DEBUG")
AIRF5_BIND = env.text("AIRF5_BIND", "127.0.0.1")
AIRF5_PORT = env.number("AIRF5_PORT", 8800, least=1, most=65535)
ALLOWED_HOSTS = env.words("AIRF5_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.words("AIRF5_TRUSTED_ORIGINS")
AIRF5_HTTPS = env.flag("AIRF5_HTTPS")

# Which services does it use? Without an address it is the embedded ones, which airf5.embedded starts, never this file.
DATABASE_URL = env.url("DATABASE_URL", ("postgresql", "postgres"))
DATABASE_PASSWORD = env.secret("AIRF5_DATABASE_PASSWORD")
REDIS_URL = env.url("REDIS_URL", ("redis", "rediss", "unix"))
REDIS_PASSWORD = env.secret("AIRF5_REDIS_PASSWORD")
AIRF5_PG_BINDIR = env.text("AIRF5_PG_BINDIR")

NOT_STARTED = "postgresql://airf5@127.0.0.1:1/airf5"  # replaced by embedded.ensure() before the first connection
DATABASES = {"default": env.database(DATABASE_URL or embedded.recorded("postgres") or NOT_STARTED, DATABASE_PASSWORD)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# What signs its cookies?
SECRET_KEY = env.secret("AIRF5_SECRET_KEY")
if not SECRET_KEY and DATABASE_URL and not DEBUG:
    raise ImproperlyConfigured(
        "AIRF5_SECRET_KEY is empty; expected a long random text, or AIRF5_SECRET_KEY_FILE, when DATABASE_URL is set."
    )
SECRET_KEY = SECRET_KEY or env.kept_secret(AIRF5_HOME / "secret_key")

# What seals the secrets of its sources? Empty: the keys in AIRF5_HOME/secret_keys, made when first needed (keyring.py).
AIRF5_SECRET_KEYS = env.secret("AIRF5_SECRET_KEYS")
AIRF5_SECRET_PLACES = env.words("AIRF5_SECRET_PLACES", "env:AIRF5_SOURCE_*,file:/run/secrets/source_*")

# Where do the bytes come from?
AIRF5_SOURCES_FILE = env.text("AIRF5_SOURCES_FILE")
AIRF5_SOURCES = env.text("AIRF5_SOURCES")
AIRF5_SYSLOG_BIND = env.text("AIRF5_SYSLOG_BIND", "127.0.0.1")
AIRF5_SYSLOG_PORT = env.number("AIRF5_SYSLOG_PORT", 5514, least=1, most=65535)

# How long does it keep them?
AIRF5_RETENTION_REQUESTS_DAYS = env.number("AIRF5_RETENTION_REQUESTS_DAYS", 7, least=1, most=3650)
AIRF5_RETENTION_MINUTES_DAYS = env.number("AIRF5_RETENTION_MINUTES_DAYS", 14, least=1, most=3650)
AIRF5_RETENTION_HOURS_DAYS = env.number("AIRF5_RETENTION_HOURS_DAYS", 395, least=1, most=3650)
AIRF5_RETENTION_AUDIT_DAYS = env.number("AIRF5_RETENTION_AUDIT_DAYS", 1095, least=1, most=36500)

# What is it made of?
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "django_htmx",
    "airf5.accounts",
    "airf5.demo",
    "ingest",
    "dashboards",
]
MIDDLEWARE = [
    "airf5.security.SecurityHeadersMiddleware",
    "airf5.unavailable.UnavailableMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "airf5.urls"
WSGI_APPLICATION = "airf5.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "airf5.demo.context.demo",
            ],
        },
    }
]

# What does it send to the browser?
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
# A fresh clone has collected nothing: then the files are served from where they lie, under their plain names.
COLLECTED = (STATIC_ROOT / "staticfiles.json").is_file()
WHITENOISE_USE_FINDERS = not COLLECTED
WHITENOISE_AUTOREFRESH = not COLLECTED
_KEEPS_NAMES = "django.contrib.staticfiles.storage.StaticFilesStorage"
_HASHES_NAMES = "whitenoise.storage.CompressedManifestStaticFilesStorage"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": _HASHES_NAMES if COLLECTED else _KEEPS_NAMES},
}
FORM_RENDERER = "django.forms.renderers.DjangoTemplates"

# What language and time does it speak?
LANGUAGE_CODE = "en-us"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

# Who is there?
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = LOGIN_URL
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# Cookies ignore ports, so another Django on this host would overwrite the usual names.
SESSION_COOKIE_NAME = "airf5_session"
CSRF_COOKIE_NAME = "airf5_csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = AIRF5_HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 3600
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if AIRF5_HTTPS else None
SECURE_SSL_REDIRECT = AIRF5_HTTPS
SECURE_REDIRECT_EXEMPT = [r"^(livez|readyz)$"]
SECURE_HSTS_SECONDS = 365 * 86400 if AIRF5_HTTPS else 0
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# How does the API answer?
REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": None,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "EXCEPTION_HANDLER": "dashboards.api.problem",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "airf5",
    "DESCRIPTION": "Airflow tries joined with the F5 BIG-IP requests they made: incidents, verdicts, evidence.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
}

# How does background work reach the workers? Only hints travel: cursors, leases and slots are rows in PostgreSQL.
CELERY_BROKER_URL = (
    env.with_password(REDIS_URL, REDIS_PASSWORD) or embedded.recorded("valkey") or "redis://127.0.0.1:1/0"
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 300, "socket_timeout": 30, "socket_connect_timeout": 5}
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = "json"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 240
CELERY_TASK_SOFT_TIME_LIMIT = 210
CELERY_TASK_DEFAULT_QUEUE = "airf5"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TIMEZONE = "UTC"

# What does it log, and how much of it?
AIRF5_LOG_LEVEL = env.text("AIRF5_LOG_LEVEL", "INFO").upper()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {name: {"level": AIRF5_LOG_LEVEL} for name in ("airf5", "ingest", "dashboards")},
}
