"""User, the memberships that give roles, and the API keys of service accounts."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from portal.access.roles import Role
from portal.tenancy.managers import TenantManager
from portal.tenancy.models import Tenant, TenantGroup, TenantModel


class UserManager(BaseUserManager["User"]):
    """Finds people by e-mail, whatever its case."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the user with this e-mail."""
        return self.get(email__iexact=username)

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a user, whose e-mail is kept in small letters; without a password they cannot sign in by one."""
        user = self.model(email=email.lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser):
    """A person, or a service account that only API keys act for. Rights come from memberships alone.

    A service account that belongs to a tenant has roles there and nowhere else, whatever memberships say; one that
    belongs to none is the provider's.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(_("e-mail"), max_length=254, unique=True)
    name = models.CharField(_("name"), max_length=200, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    is_service_account = models.BooleanField(_("service account"), default=False)
    belongs_to = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("belongs to")
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    USERNAME_FIELD = "email"
    objects = UserManager()
    is_superuser = False

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        ordering = ("email",)
        constraints = (
            models.UniqueConstraint(Lower("email"), name="one_user_per_email"),
            models.CheckConstraint(
                condition=models.Q(belongs_to__isnull=True) | models.Q(is_service_account=True),
                name="people_belong_to_no_tenant",
            ),
        )

    def __str__(self) -> str:
        return self.email

    @property
    def is_staff(self) -> bool:
        """People may open the admin site; what they see there is up to their memberships."""
        return not self.is_service_account

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Give no stock Django permission: every page asks for a capability."""
        return False

    def has_module_perms(self, app_label: str) -> bool:
        """Give no stock Django permission."""
        return False


class TenantMembership(TenantModel):
    """A role for one person in one tenant. Roles of several memberships add up."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+", verbose_name=_("user"))
    role = models.CharField(_("role"), max_length=20, choices=Role.choices)

    objects: ClassVar[TenantManager["TenantMembership"]] = TenantManager()

    class Meta:
        verbose_name = _("tenant membership")
        verbose_name_plural = _("tenant memberships")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(fields=("tenant", "user", "role"), name="one_tenant_membership"),
            models.CheckConstraint(
                condition=~models.Q(role=Role.PROVIDER_ADMIN), name="provider_admin_is_not_a_tenant_role"
            ),
        )

    def __str__(self) -> str:
        return str(Role(self.role).label)


class Reach(models.TextChoices):
    """How far a provider membership reaches; said in a word, since nothing empty may mean all."""

    GROUP = "group", _("one tenant group")
    ALL = "all", _("all tenants")


class ProviderMembership(models.Model):
    """A role for provider staff over a tenant group or over all tenants."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+", verbose_name=_("user"))
    role = models.CharField(_("role"), max_length=20, choices=Role.choices)
    reach = models.CharField(_("reach"), max_length=10, choices=Reach.choices)
    group = models.ForeignKey(
        TenantGroup, on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("group")
    )

    class Meta:
        verbose_name = _("provider membership")
        verbose_name_plural = _("provider memberships")
        constraints = (
            models.UniqueConstraint(
                fields=("user", "role", "reach", "group"), nulls_distinct=False, name="one_provider_membership"
            ),
            models.CheckConstraint(
                condition=models.Q(reach=Reach.ALL, group__isnull=True)
                | models.Q(reach=Reach.GROUP, group__isnull=False),
                name="reach_names_its_group",
            ),
        )

    def __str__(self) -> str:
        return str(Role(self.role).label)


class ServiceAccount(User):
    """The accounts that only API keys act for, as the admin shows them."""

    class Meta:
        proxy = True
        verbose_name = _("service account")
        verbose_name_plural = _("service accounts")


class Invitation(models.Model):
    """That somebody has to be told how to set their password. The row is the queue; a worker sends the e-mail.

    `claimed_at` is when a worker last tried; the link itself is made when the e-mail is written and is kept nowhere.
    """

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="invitation")
    asked_at = models.DateTimeField(_("asked for"))
    claimed_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(_("sent"), null=True)

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")

    def __str__(self) -> str:
        return str(self.user_id)


class ApiKey(models.Model):
    """A secret a service account signs its requests with. Only its SHA-256 is kept; it is shown once, when made.

    What the key may do is what its account's memberships give, less what no key may ever do. A key may be held to
    less: to what `role` may, to `tenant_ids`, to requests from `networks` (CIDR; none named: from anywhere).
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys", verbose_name=_("account"))
    name = models.CharField(_("name"), max_length=200)
    prefix = models.CharField(_("prefix"), max_length=12, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    role = models.CharField(_("at most the role"), max_length=20, choices=Role.choices, null=True, blank=True)
    tenant_ids = ArrayField(models.UUIDField(), verbose_name=_("only for the tenants"), null=True, blank=True)
    networks = ArrayField(
        models.CharField(max_length=43), verbose_name=_("only from the networks"), default=list, blank=True
    )
    expires_at = models.DateTimeField(_("expires"))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("made by"), editable=False
    )
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    revoked_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("revoked by"), editable=False
    )
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    last_used_address = models.GenericIPAddressField(_("last used from"), null=True, editable=False)
    last_refused_at = models.DateTimeField(_("last refused"), null=True, editable=False)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        constraints = (models.CheckConstraint(condition=~models.Q(tenant_ids=[]), name="a_key_for_no_tenant_is_none"),)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
