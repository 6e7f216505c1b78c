"""The instance's generated secrets, in ``var/secrets.json`` (0600). Nothing here has a known
default.
"""

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from deploy.local.errors import StartError

# Read aloud and typed by people: no characters that look alike.
_LEGIBLE = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Every secret of one instance."""

    secret_key: str
    superuser_password: str
    owner_password: str
    app_password: str
    redis_password: str
    admin_password: str
    encryption_key: str
    first_login_shown: bool = False


def load_or_create(file: Path) -> Credentials:
    """The secrets in ``file``; on the first start, new random ones.

    Raises:
        StartError: the file is there but damaged; new secrets would lock the database's data away.
    """
    try:
        content = json.loads(file.read_text())
        if "encryption_key" in content:
            return Credentials(**content)
        # A file of an earlier version; nothing was encrypted yet.
        completed = Credentials(**content, encryption_key=_encryption_key())
        save(file, completed)
        return completed
    except FileNotFoundError:
        created = _generate()
        save(file, created)
        return created
    except (ValueError, TypeError) as error:
        raise StartError(
            f"{file} is damaged ({error}): restore it from a backup, "
            f"or delete {file.parent} to start anew without data."
        ) from error


def save(file: Path, credentials: Credentials) -> None:
    """Write the file in one step, readable by its owner only."""
    partial = file.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(asdict(credentials), stream, indent=2)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)


def mark_first_login_shown(file: Path, credentials: Credentials) -> None:
    """Remember that the first login was printed, so that it is printed once."""
    save(file, replace(credentials, first_login_shown=True))


def _encryption_key() -> str:
    """As Fernet wants it: 32 random bytes in the URL's base64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _generate() -> Credentials:
    return Credentials(
        secret_key=secrets.token_urlsafe(64),
        superuser_password=secrets.token_urlsafe(32),
        owner_password=secrets.token_urlsafe(32),
        app_password=secrets.token_urlsafe(32),
        redis_password=secrets.token_urlsafe(32),
        encryption_key=_encryption_key(),
        admin_password="".join(secrets.choice(_LEGIBLE) for _ in range(16)),
    )
