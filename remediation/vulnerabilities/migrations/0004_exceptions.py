"""Exceptions and the devices in their scope."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import portal.tenancy.models
import uuid_utils.compat
from django.conf import settings
from django.db import migrations, models

from portal.tenancy.operations import Isolate


class Migration(migrations.Migration):

    dependencies = [
        ('investigations', '0004_when_recipients_are_looked_up_again'),
        ('tenancy', '0003_tenant_by_slug'),
        ('vulnerabilities', '0003_intune'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='RecommendationException',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('recommendation', 'Recommendation'), ('cve', 'CVE')], max_length=20, verbose_name='kind')),
                ('cve_id', models.CharField(blank=True, max_length=30, verbose_name='CVE')),
                ('is_global', models.BooleanField(default=False, verbose_name='whole tenant')),
                ('group_ids', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), default=list, size=None)),
                ('group_names', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None, verbose_name='device groups')),
                ('justification', models.CharField(choices=[('third_party_control', 'Third party control'), ('alternate_mitigation', 'Alternate mitigation'), ('risk_accepted', 'Risk accepted'), ('planned_remediation', 'Planned remediation (grace)'), ('cve_without_patch', 'CVE with no patch'), ('compensating_control', 'Compensating/alternate control'), ('business_need', 'Productivity/business need'), ('accept_risk', 'Accept risk'), ('other', 'Other')], max_length=30, verbose_name='justification')),
                ('context', models.TextField(verbose_name='context')),
                ('expires_on', models.DateField(verbose_name='expires')),
                ('origin', models.CharField(choices=[('quell', 'Quell'), ('defender', 'Microsoft Defender')], default='quell', max_length=10, verbose_name='made in')),
                ('state', models.CharField(choices=[('requested', 'Waits for a second person'), ('in_effect', 'In effect'), ('suspended', 'Suspended'), ('expired', 'Expired'), ('cancelled', 'Cancelled'), ('rejected', 'Rejected')], default='requested', editable=False, max_length=20, verbose_name='status')),
                ('requested_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='requested')),
                ('decided_at', models.DateTimeField(editable=False, null=True, verbose_name='decided')),
                ('decision_reason', models.TextField(blank=True, editable=False, verbose_name='why it was decided so')),
                ('ended_at', models.DateTimeField(editable=False, null=True, verbose_name='ended')),
                ('end_reason', models.TextField(blank=True, editable=False, verbose_name='why it was cancelled')),
                ('exposed_before', models.PositiveIntegerField(editable=False, null=True, verbose_name='exposed before')),
                ('exposed_after', models.PositiveIntegerField(editable=False, null=True, verbose_name='exposed after')),
                ('new_device_count', models.PositiveIntegerField(default=0, editable=False, verbose_name='devices new in its scope')),
                ('told_ending_at', models.DateTimeField(editable=False, null=True)),
                ('decided_by', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('ended_by', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('recommendation', portal.tenancy.models.TenantForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='exceptions', to='vulnerabilities.recommendation', verbose_name='recommendation')),
                ('requested_by', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
            ],
            options={
                'db_table': 'vulnerabilities_exception',
                'verbose_name': 'exception',
                'verbose_name_plural': 'exceptions',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='ExceptedDevice',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('is_new', models.BooleanField(db_default=False, default=False, verbose_name='new in the scope')),
                ('since', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='since')),
                ('device', portal.tenancy.models.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='investigations.device')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
                ('exception', portal.tenancy.models.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='devices', to='vulnerabilities.recommendationexception')),
            ],
            options={
                'verbose_name': 'excepted device',
                'verbose_name_plural': 'excepted devices',
                'base_manager_name': 'objects',
            },
        ),
        migrations.AddIndex(
            model_name='recommendationexception',
            index=models.Index(fields=['tenant', 'state', '-id'], name='exception_by_state'),
        ),
        migrations.AddIndex(
            model_name='recommendationexception',
            index=models.Index(condition=models.Q(('state__in', ('requested', 'in_effect', 'suspended'))), fields=['expires_on'], name='exception_to_end'),
        ),
        migrations.AddConstraint(
            model_name='recommendationexception',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('cve_id', ''), ('kind', 'recommendation'), ('recommendation__isnull', False)), models.Q(('kind', 'cve'), ('recommendation', None), models.Q(('cve_id', ''), _negated=True)), _connector='OR'), name='exception_is_for_one_thing'),
        ),
        migrations.AddConstraint(
            model_name='recommendationexception',
            constraint=models.CheckConstraint(condition=models.Q(('is_global', False), ('group_ids', []), _connector='OR'), name='global_exceptions_name_no_group'),
        ),
        migrations.AddConstraint(
            model_name='recommendationexception',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state__in', ('in_effect', 'suspended')), _negated=True), models.Q(('decided_at__isnull', False), ('decided_by__isnull', False), ('requested_by__isnull', False), models.Q(('decided_by', models.F('requested_by')), _negated=True)), _connector='OR'), name='exceptions_take_two_people'),
        ),
        migrations.AddIndex(
            model_name='excepteddevice',
            index=models.Index(fields=['tenant', 'device'], name='exceptions_of_device'),
        ),
        migrations.AddConstraint(
            model_name='excepteddevice',
            constraint=models.UniqueConstraint(fields=('tenant', 'exception', 'device'), name='one_device_per_exception'),
        ),
        Isolate("recommendationexception"),
        Isolate("excepteddevice"),
    ]
