"""Secrets at rest: encrypted with the first of the keys in the environment, read with any of them.

To replace a key, put a new one first, call ``manage.py rotate_encryption``, then drop the old one.
"""

import binascii

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from tenants.errors import PermanentError

_HOW = "See SLUICE_ENCRYPTION_KEYS in docs/reference/settings.md."


def seal(text: str) -> str:
    """``text`` as only a holder of a key can read it; different at each call.

    Raises:
        PermanentError: there is no key, or it is none (``encryption-key``).
    """
    return _keys().encrypt(text.encode()).decode()


def unseal(token: str) -> str:
    """What ``seal`` was given.

    Raises:
        PermanentError: no key fits (``encryption-key``).
    """
    try:
        return _keys().decrypt(token.encode()).decode()
    except InvalidToken as error:
        says = f"No encryption key reads this credential any more. Enter it again. {_HOW}"
        raise PermanentError(says, code="encryption-key") from error


def reseal(token: str) -> str:
    """The same secret under the first key.

    Raises:
        PermanentError: no key fits (``encryption-key``).
    """
    return seal(unseal(token))


def _keys() -> MultiFernet:
    names = settings.ENCRYPTION_KEYS
    if not names:
        raise PermanentError(f"Credentials need an encryption key. {_HOW}", code="encryption-key")
    try:
        return MultiFernet([Fernet(name) for name in names])
    except (ValueError, binascii.Error) as error:
        says = f"SLUICE_ENCRYPTION_KEYS has an invalid Fernet key. {_HOW}"
        raise PermanentError(says, code="encryption-key") from error
