"""One module per kind of policy: its fields, units, meaning, and the checks across them.

``CHECKS`` stand in the order in which people should read the complaints.
"""

from proxyconfig.domain.policies import addresses, egress, ingress, lists, network, routing

CHECKS = (
    *network.CHECKS,
    *routing.CHECKS,
    *addresses.CHECKS,
    *lists.CHECKS,
    *ingress.CHECKS,
    *egress.CHECKS,
)
