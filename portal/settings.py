"""The one settings module, and with portal/env.py the only reader of the environment.

docs/reference/settings.md explains each variable.
"""

from pathlib import Path

import django_stubs_ext

from portal import env
from tenants.domain import states
from tenants.domain.quota import Resource

# Lets Django's generic classes be written with their types, as the stubs have them.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(env.text("SLUICE_VAR", str(BASE_DIR / "var")))
RUN_DIR = Path(env.text("SLUICE_RUN_DIR", str(VAR_DIR / "run")))

DEBUG = env.flag("SLUICE_DEBUG")
SECRET_KEY = env.text("SLUICE_SECRET_KEY")
# The first encrypts the credentials of clusters, all of them decrypt: so a key is replaced.
ENCRYPTION_KEYS = env.words("SLUICE_ENCRYPTION_KEYS")
# The name under which the ingress door hands on what came to any tenant's address.
INGRESS_HOST = "ingress.invalid"
ALLOWED_HOSTS = [*env.words("SLUICE_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]"), INGRESS_HOST]
PORTAL_URL = env.text("SLUICE_PORTAL_URL", "http://127.0.0.1:8000")
CSRF_TRUSTED_ORIGINS = [PORTAL_URL]

INSTALLED_APPS = [
    "portal.apps.PortalConfig",
    "workers.apps.WorkersConfig",
    "ragapp.apps.RagappConfig",
    "proxyconfig.apps.ProxyconfigConfig",
    "tenants.apps.TenantsConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "csp",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "portal.middleware.TraceMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "portal.middleware.ErrorMiddleware",
    "portal.middleware.AdminScopeMiddleware",
]

ROOT_URLCONF = "portal.urls"
INGRESS_URLCONF = "portal.urls_ingress"
ASGI_APPLICATION = "portal.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.navigation.navigation",
            ],
        },
    },
]

# The application's role owns nothing and cannot pass row-level security; the owner only migrates.
_POOL_SIZE = int(env.text("SLUICE_DATABASE_POOL", "0"))
DATABASES = {
    "default": {
        **env.database("DATABASE_URL"),
        "CONN_MAX_AGE": 0,
        # A pooled connection that a restart of the database has cut is replaced, not handed out.
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "application_name": "sluice",
            "options": "-c statement_timeout=30s -c lock_timeout=10s"
            " -c idle_in_transaction_session_timeout=60s",
            **({"pool": {"min_size": 1, "max_size": _POOL_SIZE}} if _POOL_SIZE else {}),
        },
    },
    "owner": {
        **env.database("DATABASE_OWNER_URL", env.text("DATABASE_URL")),
        "OPTIONS": {"application_name": "sluice-owner", "options": "-c lock_timeout=3s"},
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "tenants.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "portal:overview"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_USE_SESSIONS = True
CSRF_FAILURE_VIEW = "portal.views.csrf_failure"
# Plain HTTP on loopback is how a laptop runs it; behind TLS the flag makes every cookie secure.
IS_HTTPS = PORTAL_URL.startswith("https://")
SESSION_COOKIE_SECURE = IS_HTTPS
CSRF_COOKIE_SECURE = IS_HTTPS
SECURE_HSTS_SECONDS = 31536000 if IS_HTTPS else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FILES = 20
# Of one file for a corpus, and of one request that hands files over.
UPLOAD_BYTES = env.number("SLUICE_UPLOAD_BYTES", 20 * 1024 * 1024)
UPLOAD_REQUEST_BYTES = env.number("SLUICE_UPLOAD_REQUEST_BYTES", 100 * 1024 * 1024)

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    },
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "tenants.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["tenants.api.parsers.JsonParser"],
    "DEFAULT_SCHEMA_CLASS": "tenants.api.openapi.Schema",
    "DEFAULT_PAGINATION_CLASS": "tenants.api.pagination.NewestFirst",
    "EXCEPTION_HANDLER": "tenants.api.problems.problem",
    "PAGE_SIZE": 50,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Sluice",
    "DESCRIPTION": "Tenant networks, ingress and egress policies, and the agent behind them.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        **{words.__name__: [word.value for word in words] for words in states.SHOWN},
        "ModelKind": "ragapp.models.language_model.ModelKind",
        "OperationKind": "tenants.models.operation.OperationKind",
        "ChangeAction": ["add", "change", "delete"],
        "EntryAction": ["create", "update", "delete"],
        "ListenerProtocol": ["http", "tcp", "udp"],
        "RuleAction": ["allow", "deny"],
        "SegmentKind": ["vlan", "vxlan", "subnet"],
        "Transport": ["tcp", "udp"],
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "tenants.api.openapi.describe_problems",
    ],
}

REDIS_URL = env.text("REDIS_URL")
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "ragapp.train_corpus": {"queue": "ingest"},
    "ragapp.answer_run": {"queue": "engine"},
    "ragapp.embed_question": {"queue": "engine"},
    "ragapp.embed_texts": {"queue": "engine"},
    "ragapp.evaluate_corpus": {"queue": "engine"},
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
# On SIGTERM (remapped by deploy/local) a running task has this long; an idle worker ends at once.
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 3.0
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # Longer than any task's own limit, or a second worker would run it beside the first.
    "visibility_timeout": 4 * 3600,
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
    # A request that wakes a worker waits for this while the broker is away, and six seconds
    # otherwise; the sweeps send again. How long a worker tries to come back is another setting.
    "max_retries": 1,
    "interval_start": 0.1,
    "interval_max": 0.1,
}
CELERY_TASK_TIME_LIMIT = 3 * 3600
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat-schedule")

# The local proxy.
CADDY_ADMIN_SOCKET = env.text("SLUICE_CADDY_ADMIN", str(RUN_DIR / "caddy-admin.sock"))
INGRESS_SOCKET = env.text("SLUICE_INGRESS_SOCKET", str(RUN_DIR / "ingress.sock"))
EGRESS_ADDRESS = env.text("SLUICE_EGRESS_ADDRESS", "127.0.0.1:3128")
EGRESS_ADMIN_SOCKET = env.text("SLUICE_EGRESS_ADMIN", str(RUN_DIR / "egress-admin.sock"))
ACCESS_LOG_SOCKET = env.text("SLUICE_ACCESS_LOG_SOCKET", str(RUN_DIR / "access-log.sock"))

# Models: folders on disk, or hub ids where a hub can be reached.
GENERATOR = env.text("SLUICE_GENERATOR", str(VAR_DIR / "models" / "smollm2-135m-instruct"))
# Whether a hub may be asked for models that are named by id; else only files on disk are read.
MODEL_HUB = env.flag("SLUICE_MODEL_HUB")
# Generators in memory at once.
# Fewer than the engine worker has threads: the others embed, for whoever searches meanwhile.
ANSWERS_AT_ONCE = env.number("SLUICE_ANSWERS_AT_ONCE", 12)
RESIDENT_MODELS = int(env.text("SLUICE_RESIDENT_MODELS", "2"))
# What model servers take as bearer token; never shown.
MODEL_SERVER_KEY = env.text("SLUICE_MODEL_SERVER_KEY", "")
EMBEDDER = env.text("SLUICE_EMBEDDER", "")
VECTOR_INDEX_ROWS = env.number("SLUICE_VECTOR_INDEX_ROWS", 20_000)
RERANKER = env.text("SLUICE_RERANKER", "")
SEARCH_URL = env.text("SLUICE_SEARCH_URL", "http://127.30.0.10:8081")
SEARCH_KEYS = env.words("SLUICE_SEARCH_KEYS")

# What a tenant may use where nobody set another limit; None for no limit.
QUOTA_DEFAULTS = {
    Resource.REQUESTS_PER_MINUTE: env.limit("SLUICE_QUOTA_REQUESTS_PER_MINUTE", 600),
    Resource.REQUESTS_PER_DAY: env.limit("SLUICE_QUOTA_REQUESTS_PER_DAY", 100_000),
    Resource.TOKENS_PER_DAY: env.limit("SLUICE_QUOTA_TOKENS_PER_DAY", 50_000_000),
    Resource.CONCURRENT_RUNS: env.limit("SLUICE_QUOTA_CONCURRENT_RUNS", 64),
    Resource.CORPUS_BYTES: env.limit("SLUICE_QUOTA_CORPUS_BYTES", 10 * 1024**3),
    Resource.CHANGE_SETS: env.limit("SLUICE_QUOTA_CHANGE_SETS", 20),
}
# The most that one answer is taken to use: a question is refused once those on their way may
# spend the day's tokens.
QUOTA_TOKENS_PER_ANSWER = env.number("SLUICE_QUOTA_TOKENS_PER_ANSWER", 4000)

# How long a plan waits for a person before it is withdrawn and what it holds is free again.
CHANGE_SET_DAYS = env.number("SLUICE_CHANGE_SET_DAYS", 14)

# How long things are kept; None for ever. The daily sums of usage are always kept.
KEEP_RUNS_DAYS = env.limit("SLUICE_KEEP_RUNS_DAYS", 180)
KEEP_USAGE_DAYS = env.limit("SLUICE_KEEP_USAGE_DAYS", 730)
KEEP_CONNECTIONS_DAYS = env.limit("SLUICE_KEEP_CONNECTIONS_DAYS", 365)
# A run's stream in Redis, after its last event; whoever comes later reads the row.
KEEP_STREAM_SECONDS = env.number("SLUICE_KEEP_STREAM_SECONDS", 600)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "portal.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "httpx2": {"level": "WARNING"},
        "httpcore2": {"level": "WARNING"},
        # A line for each sweep of each second would bury everything else.
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        # How a task ended is logged by workers/base.py, with its trace.
        "celery.app.trace": {"level": "CRITICAL"},
    },
}
