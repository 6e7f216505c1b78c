"""The app: its tasks are those that are sent, and its beat sends only what exists."""

import pytest

from tenants import wake
from tenants.errors import PermanentError, TransientError
from workers.base import SluiceTask
from workers.celery import app
from workers.schedule import BEAT

app.loader.import_default_modules()

WOKEN = sorted(
    value for name, value in vars(wake).items() if name.isupper() and isinstance(value, str)
)


@pytest.mark.parametrize("name", WOKEN)
def test_task_that_apps_send_by_name_is_registered(name):
    assert name in app.tasks


@pytest.mark.parametrize("beat", BEAT.values(), ids=BEAT.keys())
def test_beat_sends_registered_tasks_that_do_not_pile_up(beat):
    assert beat["task"] in app.tasks
    assert 0 < beat["options"]["expires"] <= 60


def test_beat_is_the_apps():
    assert app.conf.beat_schedule == BEAT


def own_tasks():
    """The tasks that are not Celery's."""
    return [task for name, task in app.tasks.items() if not name.startswith("celery.")]


@pytest.mark.parametrize("task", own_tasks(), ids=lambda task: task.name)
def test_every_task_stands_on_the_base_and_is_named_for_its_app(task):
    assert isinstance(task, SluiceTask)
    assert task.name.split(".")[0] in {"proxyconfig", "ragapp", "tenants"}
    assert task.__module__ == f"workers.tasks.{task.name.split('.')[0]}"


@pytest.mark.parametrize(
    "name",
    ["proxyconfig.reconcile_tenant", "proxyconfig.reconcile_placement", "proxyconfig.sweep"],
)
def test_front_door_tasks_acknowledge_early_and_have_deadlines(name):
    task = app.tasks[name]

    assert not task.acks_late
    assert 0 < task.soft_time_limit < task.time_limit


@pytest.fixture
def failing():
    """A task that raises what it is given, and how often it was run."""
    runs = []

    @app.task(name="tenants.fail_for_a_test")
    def fail(error_name: str) -> None:
        runs.append(error_name)
        raise {"transient": TransientError, "permanent": PermanentError}[error_name]("no")

    yield fail, runs
    app.tasks.pop("tenants.fail_for_a_test")


@pytest.mark.parametrize(("error_name", "expected"), [("transient", 4), ("permanent", 1)])
def test_only_what_may_help_is_tried_again(failing, error_name, expected, caplog):
    fail, runs = failing

    result = fail.apply([error_name])

    assert result.failed()
    assert len(runs) == expected
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [(record.action, record.object) for record in errors] == [
        ("tenants.fail_for_a_test", error_name)
    ]
