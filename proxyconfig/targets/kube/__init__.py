"""A Kubernetes API server: any cluster that a kubeconfig names."""

from proxyconfig.targets.kube.connection import Connection
from proxyconfig.targets.kube.target import KubeSettings, KubeTarget

__all__ = ["Connection", "KubeSettings", "KubeTarget"]
