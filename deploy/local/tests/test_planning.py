import pytest

from deploy.local import demo
from deploy.local.errors import StartError
from deploy.local.planning import make_plan

OUTSIDE = {"DATABASE_URL": "postgresql://root:pw@db.example:5432/portal"}


def test_outside_database_is_used_and_none_started(layout):
    plan = make_plan(layout, OUTSIDE)

    assert "postgres" not in [unit.name for unit in plan.units()]
    app_password = plan.credentials.app_password
    expected = f"postgresql://sluice_app:{app_password}@db.example:5432/portal"
    assert plan.environment()["DATABASE_URL"] == expected


def test_outside_redis_is_used_and_none_started(layout):
    plan = make_plan(layout, {"REDIS_URL": "redis://cache.example:6379/3"})

    assert "redis" not in [unit.name for unit in plan.units()]
    assert plan.environment()["REDIS_URL"] == "redis://cache.example:6379/3"


def test_no_process_but_the_bootstrap_gets_the_powerful_url(layout):
    plan = make_plan(layout, OUTSIDE)

    knowing = [
        unit.name for unit in plan.units() if any("root:pw" in value for value in unit.env.values())
    ]
    assert knowing == ["database"]


@pytest.mark.parametrize(
    ("secret", "strangers"),
    [
        ("owner_password", {"egress", "portal", "ingress", "default", "ingest", "engine", "beat"}),
        ("secret_key", set()),
        ("encryption_key", set()),
        ("app_password", set()),
        ("redis_password", set()),
    ],
)
def test_secrets_go_to_those_that_need_them(layout, secret, strangers):
    plan = make_plan(layout, {})
    value = getattr(plan.credentials, secret)

    knowing = {
        unit.name for unit in plan.units() if any(value in text for text in unit.env.values())
    }

    assert "database" in knowing
    assert knowing & {*strangers, "caddy", "demo", "model", "postgres", "redis"} == set()


def test_neither_door_takes_a_clients_word_on_where_it_comes_from(layout):
    doors = [unit for unit in make_plan(layout, {}).units() if unit.name in {"portal", "ingress"}]

    assert len(doors) == 2
    assert all("--no-proxy-headers" in door.command for door in doors)


@pytest.mark.parametrize("url", ["mysql://a@b/c", "postgresql://a@b", "sqlite.db"])
def test_database_url_of_another_kind_is_refused(layout, url):
    with pytest.raises(StartError, match="DATABASE_URL must look like"):
        make_plan(layout, {"DATABASE_URL": url})


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_port_that_is_none_is_refused(layout, port):
    with pytest.raises(StartError, match="PORT is"):
        make_plan(layout, {"PORT": port})


def test_operators_settings_reach_the_children(layout):
    given = {"SLUICE_GENERATOR": "/models/large", "SLUICE_SEARCH_URL": "https://search.example"}

    plan = make_plan(layout, given)

    environment = plan.environment()
    assert {name: environment[name] for name in given} == given
    assert "model" not in [unit.name for unit in plan.units()]


def test_every_need_is_a_unit(layout):
    units = make_plan(layout, {}).units()

    assert {need for unit in units for need in unit.needs} <= {unit.name for unit in units}


@pytest.mark.parametrize(("said", "is_on"), [("", True), ("true", True), ("FALSE", False)])
def test_demo_can_be_switched_off(said, is_on):
    assert demo.has_tenants({"SLUICE_DEMO": said}) == is_on
    assert demo.is_wanted({"SLUICE_DEMO": said}) == is_on


def test_demo_that_is_neither_on_nor_off_stops_the_start(layout):
    with pytest.raises(StartError, match="SLUICE_DEMO is 'maybe'; write true or false"):
        make_plan(layout, {**OUTSIDE, "SLUICE_DEMO": "maybe"})
