"""The change set that a page is about: one of the actor's own plans that wait, in the URL."""

from proxyconfig.models import Plan
from proxyconfig.services import change_sets as waiting_plans
from tenants.access import TenantRequest
from tenants.domain.numbers import whole_number
from tenants.errors import NotVisibleError

PARAMETER = "change_set"


def named(request: TenantRequest) -> Plan | None:
    """The change set that ``?change_set=`` names; None where it names none.

    Raises:
        NotVisibleError: it is not one of the actor's that wait.
    """
    asked = request.GET.get(PARAMETER, "")
    if not asked:
        return None
    rows = waiting_plans.open_change_sets(request.tenant, request.actor)
    number = whole_number(asked)
    found = None if number is None else rows.filter(pk=number).first()
    if found is None:
        raise NotVisibleError(
            f"You have no change set {asked[:19]} that waits. See the list of plans."
        )
    return found
