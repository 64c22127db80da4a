"""Remediation activities, the devices they are about, and the burn-down."""

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
        ('vulnerabilities', '0001_recommendations'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='RemediationActivity',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('campaign', models.UUIDField(editable=False, verbose_name='campaign')),
                ('tenants_asked', models.PositiveIntegerField(default=1, editable=False)),
                ('origin', models.CharField(choices=[('quell', 'Quell'), ('defender', 'Microsoft Defender')], default='quell', max_length=10, verbose_name='made in')),
                ('defender_task_id', models.CharField(blank=True, editable=False, max_length=64)),
                ('title', models.TextField(verbose_name='title')),
                ('related_component', models.TextField(blank=True, verbose_name='related component')),
                ('option', models.CharField(choices=[('software_update', 'Software update'), ('software_uninstall', 'Software uninstall'), ('configuration_change', 'Configuration change'), ('attention_required', 'Attention required')], max_length=30, verbose_name='remediation type')),
                ('mitigation', models.CharField(choices=[('none', 'None'), ('block', 'Block'), ('warn', 'Warn')], default='none', max_length=10, verbose_name='mitigation')),
                ('priority', models.CharField(choices=[('high', 'High'), ('medium', 'Medium'), ('low', 'Low')], max_length=10, verbose_name='priority')),
                ('due_on', models.DateField(null=True, verbose_name='due')),
                ('notes', models.TextField(blank=True, verbose_name='notes')),
                ('group_ids', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), default=list, size=None)),
                ('group_names', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None, verbose_name='device groups')),
                ('state', models.CharField(choices=[('active', 'Active'), ('completed', 'Completed')], default='active', editable=False, max_length=10, verbose_name='status')),
                ('completion', models.CharField(blank=True, choices=[('person', 'Person'), ('system', 'System confirmation'), ('unknown', 'N/A')], editable=False, max_length=10)),
                ('completed_by_label', models.TextField(blank=True, editable=False, verbose_name='completed by')),
                ('completed_at', models.DateTimeField(editable=False, null=True, verbose_name='completed')),
                ('completion_note', models.TextField(blank=True, editable=False, verbose_name='why it was completed')),
                ('requested_by_label', models.TextField(blank=True, editable=False, verbose_name='requested by')),
                ('requested_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='requested')),
                ('devices_at_start', models.PositiveIntegerField(default=0, editable=False, verbose_name='devices at start')),
                ('devices_fixed', models.PositiveIntegerField(default=0, editable=False, verbose_name='fixed')),
                ('devices_exposed', models.PositiveIntegerField(default=0, editable=False, verbose_name='still exposed')),
                ('devices_gone', models.PositiveIntegerField(default=0, editable=False, verbose_name='gone')),
                ('exposed_again_at', models.DateTimeField(editable=False, null=True, verbose_name='exposed again since')),
                ('exposed_again_count', models.PositiveIntegerField(default=0, editable=False, verbose_name='exposed again')),
                ('progress_at', models.DateTimeField(editable=False, null=True, verbose_name='progress as of')),
                ('wants_ticket', models.BooleanField(default=False, editable=False, verbose_name='ticket in Intune')),
                ('devices_sent', models.PositiveIntegerField(editable=False, null=True, verbose_name='devices sent to Intune')),
                ('told_due_soon_at', models.DateTimeField(editable=False, null=True)),
                ('told_overdue_at', models.DateTimeField(editable=False, null=True)),
                ('completed_by', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('recommendation', portal.tenancy.models.TenantForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='activities', to='vulnerabilities.recommendation', verbose_name='related recommendation')),
                ('requested_by', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'remediation activity',
                'verbose_name_plural': 'remediation activities',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='ActivityDevice',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('standing', models.CharField(choices=[('exposed', 'Exposed'), ('fixed', 'Fixed'), ('gone', 'Gone')], db_default='exposed', default='exposed', max_length=10, verbose_name='standing')),
                ('changed_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='since')),
                ('is_exposed_again', models.BooleanField(db_default=False, default=False, verbose_name='exposed again')),
                ('sent_to_intune', models.BooleanField(db_default=False, default=False, verbose_name='sent to Intune')),
                ('device', portal.tenancy.models.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='investigations.device')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
                ('activity', portal.tenancy.models.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='devices', to='vulnerabilities.remediationactivity')),
            ],
            options={
                'verbose_name': 'device of activity',
                'verbose_name_plural': 'devices of activity',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='BurnDownDay',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField(verbose_name='day')),
                ('open_activities', models.PositiveIntegerField(verbose_name='open activities')),
                ('overdue_activities', models.PositiveIntegerField(verbose_name='overdue')),
                ('completed_activities', models.PositiveIntegerField(verbose_name='completed that day')),
                ('exposed_devices', models.PositiveIntegerField(verbose_name='devices still exposed')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'day of the burn-down',
                'verbose_name_plural': 'burn-down',
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'day'), name='one_burn_down_a_day')],
            },
        ),
        migrations.AddIndex(
            model_name='remediationactivity',
            index=models.Index(fields=['tenant', 'state', '-id'], name='activity_by_state'),
        ),
        migrations.AddIndex(
            model_name='remediationactivity',
            index=models.Index(fields=['campaign'], name='activities_of_campaign'),
        ),
        migrations.AddIndex(
            model_name='remediationactivity',
            index=models.Index(condition=models.Q(('state', 'active'), ('told_overdue_at', None)), fields=['due_on'], name='activity_due'),
        ),
        migrations.AddIndex(
            model_name='remediationactivity',
            index=models.Index(condition=models.Q(('state', 'completed')), fields=['tenant', 'completed_at'], name='activity_by_completion'),
        ),
        migrations.AddConstraint(
            model_name='remediationactivity',
            constraint=models.UniqueConstraint(condition=models.Q(('defender_task_id', ''), _negated=True), fields=('tenant', 'defender_task_id'), name='one_activity_per_defender_task'),
        ),
        migrations.AddConstraint(
            model_name='remediationactivity',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('option', 'attention_required'), _negated=True), ('due_on', None), _connector='OR'), name='attention_required_has_no_due_date'),
        ),
        migrations.AddConstraint(
            model_name='remediationactivity',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('completed_at', None), ('completion', ''), ('state', 'active')), models.Q(('state', 'completed'), models.Q(('completion', ''), _negated=True)), _connector='OR'), name='completed_activities_say_how'),
        ),
        migrations.AddIndex(
            model_name='activitydevice',
            index=models.Index(fields=['tenant', 'device'], name='activities_of_device'),
        ),
        migrations.AddConstraint(
            model_name='activitydevice',
            constraint=models.UniqueConstraint(fields=('tenant', 'activity', 'device'), name='one_device_per_activity'),
        ),
        Isolate("remediationactivity"),
        Isolate("activitydevice"),
        Isolate("burndownday"),
    ]
