"""Django's settings. What an operator may set, all of it, as environment variables:

    DATABASE_URL                      PostgreSQL (forms: control/servers.py); default: SQLite in the data folder
    REDIS_URL                         the broker; default: an embedded one on a Unix socket
    DOCKER_HOST                       the local engine that `up` registers; default: the usual socket

    PIERHEAD_DATA                     the data folder; default: .pierhead beside manage.py. --data DIR says the same
    PIERHEAD_SECRET_KEY               signs sessions; default: made once, in the data folder's `keys`
    PIERHEAD_ENCRYPTION_KEY           encrypts stored credentials, 32 bytes as base64; default: likewise
    PIERHEAD_SECRET_KEY_FILE          a file that contains it, such as a mounted secret
    PIERHEAD_ENCRYPTION_KEY_FILE      likewise
    PIERHEAD_CLUSTER_ID               12 hexadecimal digits that label our containers; default: made once, in `cluster`
    PIERHEAD_ADMIN_PASSWORD           the first user's password; default: generated, and shown once
    PIERHEAD_ADMIN_PASSWORD_FILE      a file that contains it

    PIERHEAD_OIDC_ISSUER              an OpenID Connect provider whose people may sign in, such as
                                      https://id.example.com/realms/main; its redirect address is
                                      https://HOST/sign-in/openid/callback; default: none
    PIERHEAD_OIDC_CLIENT_ID           how that provider knows us
    PIERHEAD_OIDC_CLIENT_SECRET       and the secret that it gave us
    PIERHEAD_OIDC_CLIENT_SECRET_FILE  a file that contains it
    PIERHEAD_OIDC_NAME                what the button on the sign-in page says; default: OpenID Connect

    PIERHEAD_TOKEN                    what `repository add` takes as the token for an https URL; default: none

    PIERHEAD_PUBLIC_URL               where people and Git hosts reach the pages, such as https://deploy.example.com; in
                                      the addresses of webhooks and in links from elsewhere; default: none (a page
                                      takes the address that it was asked at)
    PIERHEAD_ALLOWED_HOSTS            further names under which pages are served, separated by commas; default: none
    PIERHEAD_CSRF_TRUSTED_ORIGINS     origins such as https://deploy.example.com, separated by commas; default: none
    PIERHEAD_TLS_PROXY                1 when every request comes through a proxy that speaks TLS and sets
                                      X-Forwarded-Proto: cookies become Secure, and HSTS is sent; default: 0

    PIERHEAD_ALLOW_LOCAL_REPOSITORIES 1 admits Git repositories at file:// and plain paths; default: 0
    PIERHEAD_ALLOW_LOCAL_REGISTRIES   1 lets image policies ask registries on this machine, without TLS; default: 0
    PIERHEAD_ALLOW_LOCAL_NOTIFICATIONS 1 lets notifications go to servers on this machine and its link; default: 0
    PIERHEAD_ALLOW_LOCAL_PROVIDERS    1 lets analyses ask a Prometheus on this machine; default: 0
    PIERHEAD_EVENT_RETENTION_DAYS     how long events are kept; default: 30
    PIERHEAD_PAUSE_IMAGE              holds the network of pods with several containers;
                                      default: registry.k8s.io/pause:3.10
    PIERHEAD_ROUTER_IMAGE             HAProxy, the router of each host; default: haproxy:3.4-alpine
    PIERHEAD_DNS_IMAGE                dnsmasq, which answers the names of Services;
                                      default: registry.k8s.io/dns/k8s-dns-dnsmasq-nanny:1.26.7
    PIERHEAD_POD_RANGE                private addresses that pod networks are cut from, a /20 each, the same on every
                                      host; nothing that pods talk to may lie in it; default: 10.208.0.0/12
    PIERHEAD_MESH_PORT                the port on each host through which routers reach each other; default: 8443
    PIERHEAD_LOG_LEVEL                DEBUG, INFO, WARNING or ERROR; default: INFO
    PIERHEAD_NO_BOOTSTRAP             1 uses the Python that runs manage.py as it is; default: 0 (a .venv of its own)

A test fails when the code reads a PIERHEAD_ variable that is not in this list.
"""

import os
import socket
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from control import data, openid, servers

try:
    PIERHEAD = data.load(os.environ)
    REDIS_URL = servers.redis_url(os.environ, PIERHEAD.data_dir)  # for the redis client
    DATABASES = {"default": servers.database(os.environ, PIERHEAD.data_dir)}
    TLS_PROXY = data.flag(os.environ, "PIERHEAD_TLS_PROXY")
    OPENID = openid.provider(os.environ)
    PUBLIC_URL = data.address(os.environ, "PIERHEAD_PUBLIC_URL")
except data.DataError as error:
    raise ImproperlyConfigured(str(error)) from error


def _names(variable: str) -> list[str]:
    return [name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()]


BASE_DIR = data.HOME
SECRET_KEY = PIERHEAD.secret_key
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]", socket.gethostname().lower(), *_names("PIERHEAD_ALLOWED_HOSTS")]
CSRF_TRUSTED_ORIGINS = _names("PIERHEAD_CSRF_TRUSTED_ORIGINS")
if PUBLIC_URL:
    ALLOWED_HOSTS.append(str(urlsplit(PUBLIC_URL).hostname))
    CSRF_TRUSTED_ORIGINS.append(PUBLIC_URL)

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.usersessions",
    "django_htmx",
    "control",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "control.dashboard.bearer.CsrfMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "control.urls"
ASGI_APPLICATION = "control.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["control.templatetags.objects", "control.templatetags.kept"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "control.dashboard.places.places",
                "control.dashboard.access.powers",
            ],
        },
    },
]

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
LANGUAGE_CODE = "en"

STATIC_URL = "static/"
STATICFILES_DIRS = [path for path in [BASE_DIR / "static"] if path.is_dir()]
# The few files are served from where they lie: no build step to forget, in the image either.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

# --- who may do what, and from where ---
# In the database: it is the one place that all web processes, on all machines, share without Redis, and its `add` is
# atomic, which limits of guessing and one-time codes rest on.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "control_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}
ACCOUNT_ADAPTER = "control.dashboard.accounts.Accounts"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_PRESERVE_USERNAME_CASING = True
ACCOUNT_RATE_LIMITS = {"login_failed": "5/5m/key"}  # codes of the second factor; passwords: dashboard/attempts.py
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_UNIQUE_EMAIL = False
MFA_ADAPTER = "control.dashboard.accounts.SecondFactors"
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_ISSUER = "Pierhead"
MFA_TOTP_TOLERANCE = 1  # the clock of a phone may be half a minute wrong
SOCIALACCOUNT_ADAPTER = "control.dashboard.accounts.OpenIdAccounts"
SOCIALACCOUNT_LOGIN_ON_GET = True  # the CSP lets no form lead to another site; a link may
SOCIALACCOUNT_PROVIDERS = openid.allauth_settings(OPENID)
LOGIN_URL = "/sign-in"
LOGIN_REDIRECT_URL = "/"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
SESSION_COOKIE_NAME = "pierhead_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = TLS_PROXY
CSRF_COOKIE_NAME = "pierhead_csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = TLS_PROXY
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TLS_PROXY else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if TLS_PROXY else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    },
}

# --- the queue ---
CELERY_BROKER_URL = servers.celery_broker_url(REDIS_URL)
CELERY_INCLUDE = ["deployer.tasks"]
CELERY_TASK_DEFAULT_QUEUE = "pierhead"
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_RESULT_EXPIRES = None  # there are no results: no periodic task to clean them up
CELERY_TASK_IGNORE_RESULT = True  # what became of a piece of work is in the database
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_PUBLISH_RETRY = False  # a message is a hint: the row is due anyway
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,  # seconds; above the longest task
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_connect_timeout": 2,
    "socket_timeout": 30,
    "max_retries": 0,  # of a hint: kombu would rest for two seconds first, and a person would wait with it
}
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
# An entry expires when its successor is due: a backlog of them would only repeat the same work.
CELERY_BEAT_SCHEDULE = {
    name: {"task": f"deployer.tasks.{name}", "schedule": period, "options": {"expires": period}}
    for name, period in {"dispatch": 1.0, "look": 10.0, "resync": 60.0, "forget": 3600.0}.items()
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("PIERHEAD_LOG_LEVEL", "INFO").upper() or "INFO"},
    "loggers": {
        # Each would write a line for every message or request.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
        "uvicorn.access": {"level": "WARNING"},
        "git": {"level": "WARNING"},
        "urllib3": {"level": "WARNING"},
        "docker": {"level": "WARNING"},
    },
}
