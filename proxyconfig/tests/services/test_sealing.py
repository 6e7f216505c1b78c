"""Secrets at rest."""

import pytest
from cryptography.fernet import Fernet

from proxyconfig.services import sealing
from tenants.errors import PermanentError

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def test_secret_is_read_with_any_key_and_sealed_with_the_first(settings):
    settings.ENCRYPTION_KEYS = [OLD]
    sealed = sealing.seal("s3cret")
    assert "s3cret" not in sealed

    settings.ENCRYPTION_KEYS = [NEW, OLD]
    assert sealing.unseal(sealed) == "s3cret"
    resealed = sealing.reseal(sealed)

    settings.ENCRYPTION_KEYS = [NEW]
    assert sealing.unseal(resealed) == "s3cret"
    with pytest.raises(PermanentError, match="Enter it again"):
        sealing.unseal(sealed)


@pytest.mark.parametrize("keys", [[], ["short"], ["not base64 at all, 32 bytes or more!"]])
def test_without_a_key_it_says_which_setting_is_missing(settings, keys):
    settings.ENCRYPTION_KEYS = keys

    with pytest.raises(PermanentError, match="SLUICE_ENCRYPTION_KEYS"):
        sealing.seal("s3cret")
