"""Settings for tests: the product's, with the few lines that make tests quick."""

from portal.settings import *  # noqa: F403

# Tests make many users; the product's hash is slow on purpose.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1", "ingress.invalid"]
