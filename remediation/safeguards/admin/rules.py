"""The page of approval rules: every type of action of a tenant, how many must approve it, and where that comes from."""

from collections.abc import Sequence

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.scoped_admin import Section
from portal.tenancy.models import Tenant
from remediation.catalogue import CATALOGUE, ActionType
from remediation.safeguards import rules
from remediation.safeguards.admin.by_tenant import NumberPages
from remediation.safeguards.forms import RuleForm
from remediation.safeguards.models import ApprovalRule


@admin.register(ApprovalRule)
class ApprovalRuleAdmin(NumberPages):
    """Rules by tenant."""

    list_template = "safeguards/rules.html"
    form_class = RuleForm
    change_kind = "set_approval_rule"
    number_name = "approvers"
    ask_title = gettext_lazy("Change an approval rule")

    def rows(self, request: HttpRequest, tenant: Tenant) -> Sequence[tuple[rules.Rule, str]]:
        """Return each type's rule, and where to ask for another."""
        return [(rule, self.ask_url(request, tenant, rule.kind)) for rule in rules.rules_of([tenant.pk])[tenant.pk]]

    def number_today(self, tenant: Tenant, kind: ActionType) -> int:
        """Return how many must approve."""
        return rules.required_approvals(tenant.pk, [kind.name])[kind.name]

    def describe_today(self, tenant: Tenant, kind: ActionType) -> str:
        """Say which rule it is, and how many must approve."""
        return _("%(action)s, %(tenant)s: today %(count)d must approve.") % {
            "action": kind.label,
            "tenant": tenant,
            "count": self.number_today(tenant, kind),
        }

    def sections(self, request: HttpRequest, row: ApprovalRule) -> Sequence[Section]:
        """Return one rule that a tenant has set."""
        kind = CATALOGUE.get(row.action_type)
        facts = (
            (gettext_lazy("Tenant"), row.tenant),
            (gettext_lazy("Action"), kind.label if kind else row.action_type),
            (gettext_lazy("Approvals needed"), row.approvers),
        )
        return [Section(gettext_lazy("Approval rule"), facts)]
