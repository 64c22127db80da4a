"""Fields that name rows: a foreign id in a body gets exactly the answer that an unknown id gets."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from portal.access.models import User
from portal.tenancy.scope import has_scope

NOT_YOURS = _("No such thing, or not one of yours.")


def rows_in_scope(queryset: QuerySet[Any]) -> QuerySet[Any]:
    """Return the queryset, or an empty one for somebody without memberships, for whom no scope is open."""
    return queryset if has_scope() else queryset.model._default_manager.none()


class RowField(serializers.PrimaryKeyRelatedField):
    """The id of a row in scope. Unknown and foreign ids are refused in the same words."""

    default_error_messages = {"does_not_exist": NOT_YOURS}

    def __init__(self, *, queryset: QuerySet[Any], **options: Any) -> None:
        super().__init__(queryset=queryset, pk_field=serializers.UUIDField(), **options)

    def get_queryset(self) -> QuerySet[Any] | None:
        """Return the rows in scope; none for somebody without memberships."""
        queryset = super().get_queryset()
        return None if queryset is None else rows_in_scope(queryset)


class PersonSerializer(serializers.ModelSerializer):
    """A person or service account, as others see them."""

    class Meta:
        model = User
        fields = ("id", "email", "name")
        read_only_fields = fields


class ReasonSerializer(serializers.Serializer):
    """Why somebody decides as they do; it goes on record."""

    reason = serializers.CharField(max_length=1000, help_text="Why; it goes on record.")


class ExactSerializer(serializers.Serializer):
    """A body that takes no field it does not know: a misspelt one would ask for something else than was meant."""

    def to_internal_value(self, data: Any) -> Any:
        """Return what was sent. Raises ValidationError, for each unknown field too."""
        if isinstance(data, Mapping) and (unknown := sorted(data.keys() - self.fields.keys())):
            raise serializers.ValidationError({str(name): [_("There is no such field.")] for name in unknown})
        return super().to_internal_value(data)
