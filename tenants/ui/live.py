"""Pages of which a part follows something that runs."""

import json

from django.http import HttpResponse

from tenants.access import TenantRequest


def renew_page(request: TenantRequest) -> HttpResponse:
    """The answer to a live part whose end is news for the page around it: htmx gets the page again.

    Only the page's main part is exchanged. A reload would cancel the way to another page that
    somebody has just set out on, as the browser takes the reload for the later wish.
    """
    place = {
        "path": request.htmx.current_url_abs_path or request.get_full_path(),
        "target": "#main",
        "select": "#main",
        "swap": "outerHTML",
        "push": "false",
        # The view is to give the whole page, not its live part.
        "headers": {"HX-Request": "false"},
    }
    return HttpResponse(headers={"HX-Location": json.dumps(place)})
