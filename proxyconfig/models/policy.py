"""What may come in and what may go out: the rows that people edit."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse

from tenants.models.fields import CidrField
from tenants.models.scoped import TenantScoped
from tenants.models.tenant import DNS_LABEL

PORT = [MinValueValidator(1), MaxValueValidator(65535)]
PATH_PREFIX = RegexValidator(
    r"^/[A-Za-z0-9._~/-]*\Z", "Start with / and use letters, digits and . _ ~ / - only."
)


class Protocol(models.TextChoices):
    """What a listener speaks. The local proxy serves HTTP only and refuses the others by name."""

    HTTP = "http", "HTTP"
    TCP = "tcp", "TCP"
    UDP = "udp", "UDP"


class Listener(TenantScoped):
    """A virtual address, port and protocol that the proxy answers on."""

    virtual_address = models.ForeignKey(
        "tenants.VirtualAddress", on_delete=models.PROTECT, related_name="+"
    )
    port = models.PositiveIntegerField(validators=PORT)
    protocol = models.CharField(max_length=4, choices=Protocol.choices, default=Protocol.HTTP)

    class Meta:
        """One owner for each address, port and protocol."""

        ordering = ["virtual_address__address", "port"]
        constraints = [
            models.UniqueConstraint(
                fields=["virtual_address", "port", "protocol"], name="listener_one_owner"
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="listener_tenant_id"),
            models.CheckConstraint(
                condition=Q(port__range=(1, 65535)), name="listener_port_in_range"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.virtual_address}:{self.port}/{self.protocol}"


class IngressPolicy(TenantScoped):
    """Which clients may reach which of the tenant's services, and on which listener."""

    name = models.CharField(max_length=63, validators=[DNS_LABEL])
    listener = models.ForeignKey(Listener, on_delete=models.PROTECT, related_name="policies")
    namespace = models.ForeignKey("tenants.Namespace", on_delete=models.PROTECT, related_name="+")
    service = models.CharField(max_length=63, validators=[DNS_LABEL], default="ragapp")
    service_port = models.PositiveIntegerField(validators=PORT, default=8080)
    hostnames = ArrayField(
        models.CharField(max_length=253), default=list, blank=True, help_text="Empty: any."
    )
    path_prefix = models.CharField(max_length=200, default="/", validators=[PATH_PREFIX])
    allowed_sources = ArrayField(
        CidrField(),
        default=list,
        blank=True,
        help_text="Networks in CIDR notation whose clients may connect. Empty: any.",
    )
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        """Named once in each tenant."""

        ordering = ["name"]
        verbose_name_plural = "ingress policies"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="ingress_policy_name"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The policy's page."""
        return reverse("proxyconfig:ingress-edit", args=[self.tenant.slug, self.name])


class EgressPolicy(TenantScoped):
    """Where the tenant's workloads may connect to; what no rule names is denied."""

    name = models.CharField(max_length=63, validators=[DNS_LABEL])
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        """Named once in each tenant."""

        ordering = ["name"]
        verbose_name_plural = "egress policies"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="egress_policy_name"),
            models.UniqueConstraint(fields=["tenant", "id"], name="egress_policy_tenant_id"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The policy's page."""
        return reverse("proxyconfig:egress-edit", args=[self.tenant.slug, self.name])


class EgressRule(TenantScoped):
    """One destination of an egress policy: a host name or a network, and its ports."""

    policy = models.ForeignKey(EgressPolicy, on_delete=models.CASCADE, related_name="rules")
    order = models.PositiveIntegerField(default=0)
    host = models.CharField(
        max_length=253, blank=True, help_text="example.org, or *.example.org for its subdomains."
    )
    network = CidrField(null=True, blank=True)
    ports = ArrayField(models.PositiveIntegerField(validators=PORT))
    granted_by = models.ForeignKey(
        "tenants.User",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="The platform administrator who let this rule reach private addresses.",
    )
    granted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """In the order in which the proxy reads them."""

        ordering = ["policy_id", "order"]
        constraints = [
            models.UniqueConstraint(fields=["policy", "order"], name="egress_rule_order"),
            models.CheckConstraint(
                name="egress_rule_names_one_destination",
                condition=Q(host="", network__isnull=False)
                | (~Q(host="") & Q(network__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.destination} {self.ports}"

    @property
    def destination(self) -> str:
        """The host or the network."""
        return self.host or str(self.network)

    @property
    def is_granted(self) -> bool:
        """True when a platform administrator let it reach private addresses."""
        return self.granted_at is not None
