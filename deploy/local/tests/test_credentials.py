import json
import stat
from dataclasses import asdict, astuple

import pytest

from deploy.local import credentials
from deploy.local.errors import StartError


def test_secrets_are_kept_between_starts(tmp_path):
    file = tmp_path / "secrets.json"

    assert credentials.load_or_create(file) == credentials.load_or_create(file)


def test_no_two_instances_share_a_secret(tmp_path):
    one = credentials.load_or_create(tmp_path / "one.json")
    two = credentials.load_or_create(tmp_path / "two.json")

    secrets_of_both = [value for value in (*astuple(one), *astuple(two)) if isinstance(value, str)]
    assert len(set(secrets_of_both)) == len(secrets_of_both)
    assert min(map(len, secrets_of_both)) >= 16


def test_only_the_owner_can_read_the_file(tmp_path):
    file = tmp_path / "secrets.json"
    credentials.load_or_create(file)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_file_of_an_earlier_version_gets_what_it_lacks_once(tmp_path):
    file = tmp_path / "secrets.json"
    created = asdict(credentials.load_or_create(file))
    del created["encryption_key"]
    file.write_text(json.dumps(created))

    completed = credentials.load_or_create(file)

    assert {**asdict(completed), **created} == asdict(completed)
    assert completed.encryption_key
    assert credentials.load_or_create(file) == completed


def test_first_login_is_shown_once(tmp_path):
    file = tmp_path / "secrets.json"
    created = credentials.load_or_create(file)
    assert not created.first_login_shown

    credentials.mark_first_login_shown(file, created)

    assert credentials.load_or_create(file).first_login_shown


@pytest.mark.parametrize("content", ["", "{}", '{"secret_key": "x"}', "[]"])
def test_damaged_file_is_not_replaced(tmp_path, content):
    file = tmp_path / "secrets.json"
    file.write_text(content)

    with pytest.raises(StartError, match=r"secrets\.json is damaged"):
        credentials.load_or_create(file)

    assert file.read_text() == content
