"""RemediationAction: the row is the queue. Decision: one person's approval or rejection of exactly these parameters."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from investigations.models import Device, Evidence, Investigation
from portal.access.models import User
from portal.tenancy.managers import TenantManager
from portal.tenancy.models import TenantForeignKey, TenantModel
from remediation.actions.querysets import ActionQuerySet
from remediation.actions.states import OPEN_STATES, OUT_STATES, Answer, Source, State
from remediation.catalogue import CATALOGUE, CHOICES, ActionType
from remediation.safeguards.models import BreakGlass

ActionManager = TenantManager.from_queryset(ActionQuerySet)
"""The questions of `ActionQuerySet`, held to the open scope."""


class RemediationAction(TenantModel):
    """One thing to be done to one target, and all that has become of it.

    `state` is written by `transitions` alone. `parameters_sha256` is over tenant, type, target and parameters;
    decisions are bound to it. `fence` counts the times it was claimed: a worker whose fence is old has lost the action.
    `entity` says what the same decision would be about elsewhere (`remediation.actions.entities`). `findings` is what
    it read at Microsoft: a file's profile, or the setting it changes as it was before. `cancel_asked_at` is when
    somebody asked Microsoft to stop it.
    Times are UTC and PostgreSQL's.
    """

    type = models.CharField(_("action"), max_length=40, choices=CHOICES)
    state = models.CharField(_("state"), max_length=20, choices=State.choices, editable=False)
    source = models.CharField(_("action source"), max_length=30, choices=Source.choices)
    investigation = TenantForeignKey(
        Investigation, on_delete=models.PROTECT, null=True, related_name="actions", verbose_name=_("investigation")
    )
    device = TenantForeignKey(
        Device, on_delete=models.PROTECT, null=True, related_name="actions", verbose_name=_("device")
    )
    target = models.TextField(_("target"), help_text=_("What it is done to, in words."))
    parameters = models.JSONField(_("parameters"), default=dict)
    parameters_sha256 = models.CharField(max_length=64, editable=False)
    conflict_group = models.CharField(max_length=30, blank=True, editable=False)
    reason = models.TextField(_("reason"), help_text=_("Why it was decided or asked for."))
    requested_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("requested by")
    )
    required_approvals = models.PositiveSmallIntegerField(_("approvals needed"))
    undoes = TenantForeignKey(
        "self", on_delete=models.PROTECT, null=True, related_name="undone_by", verbose_name=_("undoes")
    )
    priority = models.SmallIntegerField(default=100, editable=False)
    approve_before = models.DateTimeField(_("approve before"), null=True)
    not_before = models.DateTimeField(_("not before"))
    execute_before = models.DateTimeField(_("send before"), null=True)
    fence = models.PositiveIntegerField(default=0, editable=False)
    attempt = models.PositiveIntegerField(_("attempts"), default=0, editable=False)
    owner = models.CharField(max_length=100, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    sent_at = models.DateTimeField(_("sent"), null=True)
    accepted_at = models.DateTimeField(_("accepted"), null=True)
    unknown_since = models.DateTimeField(_("unknown since"), null=True)
    next_check_at = models.DateTimeField(null=True, editable=False)
    absent_count = models.PositiveSmallIntegerField(default=0, editable=False)
    entity = models.TextField(_("entity"), blank=True, default="", db_default="")
    findings = models.JSONField(_("findings"), null=True, editable=False)
    cancel_asked_at = models.DateTimeField(_("asked to stop"), null=True, editable=False)
    cancel_reason = models.TextField(_("why it was asked to stop"), blank=True, default="", db_default="")
    remote_id = models.CharField(_("id at Microsoft"), max_length=200, blank=True)
    detail = models.TextField(_("detail"), blank=True, help_text=_("What came back, in words."))
    error_code = models.CharField(_("error code"), max_length=100, blank=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    changed_at = models.DateTimeField(_("changed"), db_default=Now())
    ended_at = models.DateTimeField(_("ended"), null=True)

    objects: ClassVar[ActionManager["RemediationAction"]] = ActionManager()

    class Meta:
        verbose_name = _("remediation action")
        verbose_name_plural = _("remediation actions")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "parameters_sha256"),
                condition=models.Q(state__in=sorted(OPEN_STATES)),
                name="one_open_action",
            ),
            models.UniqueConstraint(
                fields=("tenant", "device", "conflict_group"),
                condition=models.Q(state__in=sorted(OUT_STATES)) & ~models.Q(conflict_group=""),
                name="one_at_a_time_on_device",
            ),
            models.UniqueConstraint(
                fields=("tenant", "undoes"),
                condition=models.Q(state__in=sorted({*OPEN_STATES, State.SUCCEEDED})),
                name="one_undo",
            ),
            models.CheckConstraint(condition=models.Q(state__in=State.values), name="action_state_is_known"),
        )
        indexes = (
            models.Index(fields=("tenant", "state", "id"), name="action_by_state"),
            models.Index(fields=("tenant", "investigation"), name="actions_of_investigation"),
            models.Index(
                fields=("tenant", "priority", "not_before", "id"),
                condition=models.Q(state=State.APPROVED),
                name="action_to_send",
            ),
            models.Index(
                fields=("next_check_at",),
                condition=models.Q(state__in=[State.ACCEPTED, State.UNKNOWN]),
                name="action_to_check",
            ),
            models.Index(
                fields=("type", "entity"),
                include=("tenant", "id", "device", "created_at", "approve_before"),
                condition=models.Q(state=State.PENDING_APPROVAL) & ~models.Q(entity=""),
                name="action_groups",
            ),
            models.Index(fields=("tenant", "entity"), condition=~models.Q(entity=""), name="actions_of_entity"),
        )

    def __str__(self) -> str:
        return f"{self.kind.label}: {self.target}"

    @property
    def kind(self) -> ActionType:
        """The catalogue's row for this action."""
        return CATALOGUE[self.type]


class Decision(TenantModel):
    """One person's answer about one action with exactly these parameters. A person answers an action once.

    With a `break_glass` it is the one approval that was enough in an emergency.
    """

    action = TenantForeignKey(
        RemediationAction, on_delete=models.PROTECT, related_name="decisions", verbose_name=_("action")
    )
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", verbose_name=_("decided by"))
    answer = models.CharField(_("answer"), max_length=10, choices=Answer.choices)
    reason = models.TextField(_("reason"))
    parameters_sha256 = models.CharField(max_length=64, editable=False)
    decided_at = models.DateTimeField(_("decided"), db_default=Now())
    break_glass = TenantForeignKey(
        BreakGlass,
        on_delete=models.PROTECT,
        null=True,
        db_index=False,
        related_name="decisions",
        verbose_name=_("break glass"),
    )

    objects: ClassVar[TenantManager["Decision"]] = TenantManager()

    class Meta:
        verbose_name = _("decision")
        verbose_name_plural = _("decisions")
        base_manager_name = "objects"
        constraints = (models.UniqueConstraint(fields=("tenant", "action", "user"), name="one_decision_per_person"),)
        indexes = (
            models.Index(
                fields=("tenant", "break_glass"),
                condition=models.Q(break_glass__isnull=False),
                name="decisions_of_break_glass",
            ),
        )

    def __str__(self) -> str:
        return f"{self.answer} {self.action_id}"


class ActionEvidence(TenantModel):
    """Which evidence an action answers; one action may answer several pieces, one piece may need several actions."""

    action = TenantForeignKey(RemediationAction, on_delete=models.CASCADE, related_name="evidence_links")
    evidence = TenantForeignKey(Evidence, on_delete=models.CASCADE, related_name="action_links")

    objects: ClassVar[TenantManager["ActionEvidence"]] = TenantManager()

    class Meta:
        verbose_name = _("evidence of action")
        verbose_name_plural = _("evidence of actions")
        base_manager_name = "objects"
        constraints = (models.UniqueConstraint(fields=("tenant", "action", "evidence"), name="one_link_per_evidence"),)
        indexes = (models.Index(fields=("tenant", "evidence"), name="actions_of_evidence"),)

    def __str__(self) -> str:
        return f"{self.action_id} {self.evidence_id}"


class PendingAction(RemediationAction):
    """An action on the Action center's Pending tab; the same row under another name."""

    class Meta:
        proxy = True
        verbose_name = _("pending action")
        verbose_name_plural = _("pending")


class HistoryAction(RemediationAction):
    """An action on the Action center's History tab; the same row under another name."""

    class Meta:
        proxy = True
        verbose_name = _("action")
        verbose_name_plural = _("history")
