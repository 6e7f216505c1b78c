"""The API server that tests run against."""

import pytest

pytestmark = pytest.mark.kube


def test_server_knows_the_gateway_api_and_who_asks(kube_server, kube_namespace):
    path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{kube_namespace}/httproutes"

    assert kube_server.call("GET", path).body["items"] == []
    assert kube_server.call("GET", path, user="nobody").status == 403
    assert kube_server.kubeconfig("nobody") != kube_server.kubeconfig()
