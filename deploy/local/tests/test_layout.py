import stat

import pytest

from deploy.local import layout as layouts
from deploy.local.errors import StartError
from deploy.local.layout import LOG_ROTATE_BYTES, LONGEST_RUN_DIR_BYTES


def test_sockets_live_below_var(tmp_path):
    layout = layouts.of(tmp_path / "var")

    assert layout.socket("caddy-admin") == tmp_path / "var" / "run" / "caddy-admin.sock"


def test_deep_checkout_gets_a_short_run_directory(tmp_path):
    deep = tmp_path / ("d" * LONGEST_RUN_DIR_BYTES) / "var"

    layout = layouts.of(deep)
    layout.create()

    assert len(str(layout.run)) <= LONGEST_RUN_DIR_BYTES
    assert stat.S_IMODE(layout.run.stat().st_mode) == 0o700
    assert layouts.of(deep).run == layout.run
    layout.run.rmdir()


def test_run_directory_that_is_a_link_is_refused(tmp_path):
    layout = layouts.of(tmp_path / "var")
    layout.var.mkdir()
    (tmp_path / "elsewhere").mkdir()
    layout.run.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StartError, match="belongs to somebody else"):
        layout.create()


def test_place_that_cannot_be_made_is_said_in_one_sentence(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(StartError, match="SLUICE_VAR"):
        layouts.of(tmp_path / "file" / "var").create()


def test_large_logs_are_set_aside_and_three_kept(layout):
    log = layout.log_of("portal")
    for generation in range(5):
        log.write_bytes(bytes([generation]) * LOG_ROTATE_BYTES)
        layout.rotate_logs()

    kept = {file.name: file.read_bytes()[0] for file in layout.log.iterdir()}
    assert kept == {"portal.log.1": 4, "portal.log.2": 3, "portal.log.3": 2}


def test_small_log_goes_on(layout):
    layout.log_of("portal").write_text("a line\n")

    layout.rotate_logs()

    assert layout.log_of("portal").read_text() == "a line\n"
