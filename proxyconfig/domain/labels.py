"""The labels by which Sluice's objects on a cluster are found, and told from those of others."""

TENANT = "sluice.dev/tenant"
MANAGED_BY = "app.kubernetes.io/managed-by"
SLUICE = "sluice"


def of(tenant: str) -> dict[str, str]:
    """What every object of a tenant carries."""
    return {MANAGED_BY: SLUICE, TENANT: tenant}


def manager_of(tenant: str) -> str:
    """The field manager that applies a tenant's objects.

    One for each tenant: with a common one, the apply of one tenant would erase another's entries in
    a list that both have a part of.
    """
    return f"{SLUICE}.{tenant}"
