from proxyconfig.domain.intent import Intent, Namespace
from proxyconfig.tests.api.test_objects import DOCS, EGRESS, INGRESS, TENANT, WEB, send
from proxyconfig.tests.holding import grant
from tenants.domain.roles import Role
from tenants.tests.people import person

# Beyond the guardrails: it waits for approval.
WIDE = {**WEB, "port": 80, "allowed_sources": []}


def proposal(person) -> str:
    """A plan of theirs that waits and adds the policy ``web``, as the query that names it."""
    body = {**WIDE, "reason": "wide"}
    plan = send(person, "post", INGRESS, body).json()
    assert plan["state"] == "AwaitingApproval"
    return f"change_set={plan['id']}"


def test_change_set_shows_what_it_adds(alice, network):
    query = proposal(alice)

    within = alice.client.get(f"{INGRESS}/web?{query}")

    assert alice.client.get(f"{INGRESS}/web").status_code == 404
    assert (within.status_code, within.json()["namespace"]) == (200, "acme-rag")
    assert within["ETag"] == f'"{within.json()["version"]}"'
    assert (within.json()["updated_by"], within.json()["port"]) == ("alice", 80)
    assert alice.client.get(f"{INGRESS}/web?change_set=9999").status_code == 400


def test_what_a_change_set_adds_is_changed_in_it(alice, network):
    query = proposal(alice)
    path = f"{INGRESS}/web?{query}"
    tag = alice.client.get(path)["ETag"]

    patched = send(alice, "patch", path, {"order": 7, "reason": "x"}, **{"If-Match": tag})
    late = send(alice, "patch", path, {"order": 8, "reason": "x"}, **{"If-Match": tag})
    put = send(alice, "put", path, {**WIDE, "order": 9, "reason": "x"})
    shown = alice.client.get(path).json()
    looked = alice.client.delete(f"{path}&reason=x&dry_run=All")
    gone = alice.client.delete(f"{path}&reason=x")

    statuses = [answer.status_code for answer in (patched, late, put, looked, gone)]
    assert statuses == [202, 412, 202, 200, 204]
    assert (shown["order"], shown["port"]) == (9, 80)
    assert alice.client.get(path).status_code == 409  # The plan has nothing left to propose.


def test_what_a_change_set_changes_is_guarded_by_its_proposal(alice, network):
    send(alice, "post", INGRESS, {**WEB, "reason": "x"})
    in_force = alice.client.get(f"{INGRESS}/web")["ETag"]
    plan = send(
        alice, "patch", f"{INGRESS}/web", {"port": 80, "allowed_sources": [], "reason": "x"}
    ).json()
    path = f"{INGRESS}/web?change_set={plan['id']}"

    old = send(alice, "patch", path, {"order": 7, "reason": "x"}, **{"If-Match": in_force})
    tag = alice.client.get(path)["ETag"]
    new = send(alice, "patch", path, {"order": 7, "reason": "x"}, **{"If-Match": tag})

    assert (old.status_code, new.status_code) == (412, 202)
    within = alice.client.get(path).json()
    assert (within["order"], within["port"]) == (7, 80)


def test_what_a_change_set_deletes_is_not_there_in_it(alice, network):
    query = proposal(alice)
    listener = f"{TENANT}/listeners/http-127-110-1-1-80"
    assert alice.client.delete(f"{INGRESS}/web?{query}&reason=x").status_code == 204
    assert alice.client.get(f"{listener}?{query}").status_code == 409

    query = proposal(alice)
    assert alice.client.get(f"{listener}?{query}").status_code == 200
    assert alice.client.delete(f"{listener}?{query}&reason=x").status_code == 409


def test_change_set_of_somebody_else_shows_nothing(alice, acme, network):
    query = proposal(alice)
    dana = person("dana", acme, Role.NETOPS)

    assert dana.client.get(f"{INGRESS}/web?{query}").status_code == 400


def test_network_objects_of_a_change_set_are_addressed_as_others_are(alice, network):
    grant(
        alice.tenant, Intent(tenant="acme", namespaces=(Namespace(name="acme-q", cluster="local"),))
    )
    query = proposal(alice)
    body = {"name": "acme-q", "cluster": "local", "reason": "x"}
    made = send(alice, "post", f"{TENANT}/namespaces?{query}", body)

    assert made.status_code == 202
    assert alice.client.get(f"{TENANT}/namespaces/acme-q?{query}").json()["cluster"] == "local"
    assert alice.client.delete(f"{TENANT}/namespaces/acme-q?{query}&reason=x").status_code == 202
    assert alice.client.get(f"{TENANT}/namespaces/acme-q?{query}").status_code == 404


def test_change_set_takes_a_second_edit(alice, network):
    plan = send(
        alice, "post", INGRESS, {**WEB, "port": 80, "allowed_sources": [], "reason": "wide"}
    ).json()

    joined = send(alice, "post", f"{EGRESS}?change_set={plan['id']}", {**DOCS, "reason": "too"})

    assert (joined.status_code, joined.json()["id"]) == (202, plan["id"])
    assert alice.client.get(f"{EGRESS}/docs").status_code == 404
    foreign = send(alice, "post", f"{EGRESS}?change_set=9999", {**DOCS, "reason": "too"})
    assert foreign.status_code == 400
