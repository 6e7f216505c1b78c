import os
import signal
import sys

from deploy.local.tests.conftest import is_running, python, sleeper, wait_until

IGNORES_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"


def test_start_follows_the_needs(start, tmp_path):
    log = tmp_path / "order"
    note = "open({!r}, 'a').write({!r})"
    first = python("first", note.format(str(log), "1"))
    second = python("second", note.format(str(log), "2"), needs=("first",))
    third = sleeper("third", tmp_path, before=note.format(str(log), "3"), needs=("second",))

    start(third, second, first).wait_ready()

    assert log.read_text() == "123"


def test_need_that_is_not_part_of_the_run_is_not_waited_for(start, tmp_path):
    start(sleeper("service", tmp_path, needs=("elsewhere",))).wait_ready()


def test_killed_service_is_started_again(start, tmp_path):
    run = start(sleeper("service", tmp_path))
    run.wait_ready()
    first = run.supervisor.pid("service")

    os.kill(first, signal.SIGKILL)

    wait_until(lambda: run.supervisor.pid("service") not in {None, first})
    wait_until(lambda: run.supervisor.is_ready("service"))
    assert not is_running(first)
    assert "service ended; it is started again" in run.output.getvalue()


def test_what_a_killed_service_had_started_goes_with_it(start, tmp_path):
    child_file = tmp_path / "child"
    fork = f"""
import os, time
pid = os.fork()
if pid == 0:
    time.sleep(3600)
open({str(child_file)!r}, "w").write(str(pid))
"""
    run = start(sleeper("service", tmp_path, before=fork))
    run.wait_ready()
    child = int(child_file.read_text())
    assert is_running(child)

    os.kill(run.supervisor.pid("service"), signal.SIGKILL)

    wait_until(lambda: not is_running(child))


def test_stop_ends_every_service(start, tmp_path):
    run = start(sleeper("one", tmp_path), sleeper("two", tmp_path, needs=("one",)))
    run.wait_ready()
    pids = [run.supervisor.pid(name) for name in ("one", "two")]

    run.stop()

    assert [pid for pid in pids if is_running(pid)] == []


def test_needed_service_is_stopped_last(start, tmp_path):
    note = (
        "import signal, sys\n"
        "def end(*_): open({log!r}, 'a').write({name!r}); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)"
    )
    log = tmp_path / "order"
    below = sleeper("below", tmp_path, before=note.format(log=str(log), name="below "))
    above = sleeper(
        "above", tmp_path, before=note.format(log=str(log), name="above "), needs=("below",)
    )
    run = start(below, above)
    run.wait_ready()

    run.stop()

    assert log.read_text() == "above below "


def test_service_that_ignores_the_signal_is_killed_after_its_time(start, tmp_path):
    run = start(sleeper("stubborn", tmp_path, before=IGNORES_SIGTERM, stop_seconds=0.3))
    run.wait_ready()
    pid = run.supervisor.pid("stubborn")

    run.stop()

    assert not is_running(pid)


def test_second_signal_does_not_wait(start, tmp_path):
    run = start(sleeper("stubborn", tmp_path, before=IGNORES_SIGTERM, stop_seconds=3600))
    run.wait_ready()
    pid = run.supervisor.pid("stubborn")

    run.supervisor.hurry.set()
    run.stop()

    assert not is_running(pid)


def test_failing_step_stops_the_start_with_its_last_words(start, tmp_path):
    service = sleeper("service", tmp_path)
    step = python("step", "import sys; sys.exit('the disk is made of cheese')", needs=("service",))

    run = start(service, step)
    error = run.wait_failed()

    assert "step ended with status 1" in str(error)
    assert "the disk is made of cheese" in str(error)
    assert run.supervisor.pid("service") is None


def test_service_that_never_becomes_ready_stops_the_start(start, tmp_path):
    service = python("service", "raise SystemExit('no such luck')", ready_file=tmp_path / "never")

    error = start(service).wait_failed()

    assert "no such luck" in str(error)


def test_service_that_fails_once_at_the_start_gets_another_chance(start, tmp_path):
    marker = tmp_path / "tried"
    once = f"""
import pathlib, sys
marker = pathlib.Path({str(marker)!r})
if not marker.exists():
    marker.touch()
    sys.exit(1)
"""

    run = start(sleeper("service", tmp_path, before=once))

    run.wait_ready()
    assert run.supervisor.is_ready("service")


def test_service_that_keeps_dying_shows_its_last_lines(start, tmp_path):
    marker = tmp_path / "broken"
    dies_when_broken = f"""
import pathlib, sys
if pathlib.Path({str(marker)!r}).exists():
    sys.exit("the file is broken")
"""
    run = start(sleeper("service", tmp_path, before=dies_when_broken))
    run.wait_ready()
    marker.touch()

    os.kill(run.supervisor.pid("service"), signal.SIGKILL)
    wait_until(lambda: "the file is broken" in run.output.getvalue())
    marker.unlink()

    wait_until(lambda: run.supervisor.is_ready("service"))


def test_restart_replaces_the_process(start, tmp_path):
    run = start(sleeper("service", tmp_path))
    run.wait_ready()
    first = run.supervisor.pid("service")

    run.supervisor.restart(["service"])

    wait_until(lambda: run.supervisor.pid("service") not in {None, first})
    wait_until(lambda: run.supervisor.is_ready("service"))


def test_output_goes_to_the_services_log(start, tmp_path, layout):
    run = start(python("step", "print('hello from the step')"))
    run.wait_ready()

    assert layout.log_of("step").read_text() == "hello from the step\n"
    assert sys.executable not in run.output.getvalue()
