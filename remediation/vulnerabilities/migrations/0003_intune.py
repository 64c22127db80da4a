"""Intune: its switch, its security tasks, the devices it manages."""

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
        ('vulnerabilities', '0002_activities'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='SecurityTask',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('remote_id', models.CharField(blank=True, editable=False, max_length=64)),
                ('kind', models.CharField(choices=[('app', 'Application'), ('configuration', 'Configuration'), ('unmanaged_devices', 'Unmanaged devices'), ('other', 'Other')], max_length=20, verbose_name='kind')),
                ('status', models.CharField(choices=[('waiting', 'Waits to be sent to Intune'), ('sending', 'Being sent to Intune'), ('unconfirmed', 'Sent, not confirmed'), ('failed', 'Not made in Intune'), ('pending', 'Pending'), ('active', 'Accepted'), ('rejected', 'Rejected'), ('completed', 'Completed'), ('unknown', 'Unknown'), ('deleted', 'Deleted in Intune')], default='waiting', max_length=20, verbose_name='status')),
                ('detail', models.TextField(blank=True, verbose_name='status, in words')),
                ('display_name', models.TextField(verbose_name='name')),
                ('description', models.TextField(blank=True, verbose_name='description')),
                ('priority', models.TextField(blank=True, verbose_name='priority')),
                ('creator', models.TextField(blank=True, verbose_name='creator')),
                ('creator_notes', models.TextField(blank=True, verbose_name="creator's notes")),
                ('assigned_to', models.TextField(blank=True, verbose_name='assigned to')),
                ('admin_note', models.TextField(blank=True, verbose_name="IT admin's note")),
                ('due_at', models.DateTimeField(null=True, verbose_name='due')),
                ('created_at_source', models.DateTimeField(null=True, verbose_name='created in Intune')),
                ('managed_device_count', models.PositiveIntegerField(null=True, verbose_name='devices in Intune')),
                ('raw', models.JSONField(default=dict, verbose_name='as received')),
                ('wanted_status', models.CharField(blank=True, choices=[('waiting', 'Waits to be sent to Intune'), ('sending', 'Being sent to Intune'), ('unconfirmed', 'Sent, not confirmed'), ('failed', 'Not made in Intune'), ('pending', 'Pending'), ('active', 'Accepted'), ('rejected', 'Rejected'), ('completed', 'Completed'), ('unknown', 'Unknown'), ('deleted', 'Deleted in Intune')], editable=False, max_length=20)),
                ('wanted_note', models.TextField(blank=True, editable=False)),
                ('not_before', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('lease_until', models.DateTimeField(editable=False, null=True)),
                ('sent_at', models.DateTimeField(editable=False, null=True)),
                ('fence', models.PositiveIntegerField(default=0, editable=False)),
                ('attempts', models.PositiveIntegerField(default=0, editable=False)),
                ('devices_read_at', models.DateTimeField(editable=False, null=True, verbose_name='devices read')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='added')),
                ('seen_at', models.DateTimeField(null=True, verbose_name='last seen in Intune')),
                ('activity', portal.tenancy.models.TenantForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='tasks', to='vulnerabilities.remediationactivity', verbose_name='activity')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
                ('wanted_by', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'security task',
                'verbose_name_plural': 'security tasks',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='SecurityTaskDevice',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('entra_device_id', models.TextField(verbose_name='Entra device id')),
                ('intune_id', models.TextField(blank=True, verbose_name='Intune device id')),
                ('name', models.TextField(blank=True, verbose_name='name')),
                ('last_sync_at', models.DateTimeField(null=True, verbose_name='last synced with Intune')),
                ('task', portal.tenancy.models.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='devices', to='vulnerabilities.securitytask')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'device of security task',
                'verbose_name_plural': 'devices of security task',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='IntuneConnection',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('is_on', models.BooleanField(db_default=False, default=False, verbose_name='Microsoft Intune connection')),
                ('may_update_tasks', models.BooleanField(db_default=False, default=False, verbose_name='accept, reject and complete tasks from Quell')),
                ('health', models.CharField(choices=[('untried', 'Not tried yet'), ('enabled', 'Enabled'), ('available', 'Available, not enabled in Intune'), ('unavailable', 'Not set up in Intune'), ('unresponsive', 'Unresponsive'), ('permissions_missing', 'Permissions missing'), ('refused', 'Refused'), ('unreachable', 'Unreachable')], default='untried', editable=False, max_length=20, verbose_name='health')),
                ('health_detail', models.TextField(blank=True, editable=False, verbose_name='health, in words')),
                ('health_at', models.DateTimeField(editable=False, null=True, verbose_name='health seen')),
                ('partner_state', models.TextField(blank=True, editable=False, verbose_name='partner state')),
                ('heartbeat_at', models.DateTimeField(editable=False, null=True, verbose_name='last heartbeat')),
                ('device_path', models.TextField(blank=True, editable=False)),
                ('tasks_read_at', models.DateTimeField(editable=False, null=True, verbose_name='tasks read')),
                ('devices_swept_at', models.DateTimeField(editable=False, null=True, verbose_name='devices read whole')),
                ('shrunk_at', models.DateTimeField(editable=False, null=True)),
                ('next_sync_at', models.DateTimeField(editable=False, null=True, verbose_name='next sync')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'Intune connection',
                'verbose_name_plural': 'Intune connections',
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant',), name='one_intune_connection')],
            },
        ),
        migrations.CreateModel(
            name='ManagedDevice',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('intune_id', models.CharField(max_length=64, verbose_name='Intune device id')),
                ('entra_device_id', models.TextField(blank=True, verbose_name='Entra device id')),
                ('name', models.TextField(blank=True, verbose_name='name')),
                ('operating_system', models.TextField(blank=True, verbose_name='operating system')),
                ('os_version', models.TextField(blank=True, verbose_name='OS version')),
                ('compliance_state', models.TextField(blank=True, verbose_name='compliance')),
                ('management_agent', models.TextField(blank=True, verbose_name='managed by')),
                ('owner_type', models.TextField(blank=True, verbose_name='owner')),
                ('user_principal_name', models.TextField(blank=True, verbose_name='user')),
                ('serial_number', models.TextField(blank=True, verbose_name='serial number')),
                ('category', models.TextField(blank=True, verbose_name='category')),
                ('last_sync_at', models.DateTimeField(null=True, verbose_name='last synced with Intune')),
                ('swept_at', models.DateTimeField(editable=False, null=True)),
                ('removed_at', models.DateTimeField(null=True, verbose_name='no longer in Intune since')),
                ('device', portal.tenancy.models.TenantForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='investigations.device', verbose_name='device in Defender')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'managed device',
                'verbose_name_plural': 'managed devices',
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['tenant', 'entra_device_id'], name='managed_by_entra_id')],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'intune_id'), name='one_managed_device_of_an_id')],
            },
        ),
        migrations.AddIndex(
            model_name='securitytask',
            index=models.Index(fields=['tenant', 'status', '-id'], name='task_by_status'),
        ),
        migrations.AddIndex(
            model_name='securitytask',
            index=models.Index(condition=models.Q(('status__in', ('waiting', 'sending', 'unconfirmed')), models.Q(('wanted_status', ''), _negated=True), _connector='OR'), fields=['not_before'], name='task_to_send'),
        ),
        migrations.AddConstraint(
            model_name='securitytask',
            constraint=models.UniqueConstraint(condition=models.Q(('remote_id', ''), _negated=True), fields=('tenant', 'remote_id'), name='one_task_of_an_id'),
        ),
        migrations.AddConstraint(
            model_name='securitytaskdevice',
            constraint=models.UniqueConstraint(fields=('tenant', 'task', 'entra_device_id'), name='one_device_per_task'),
        ),
        Isolate("intuneconnection"),
        Isolate("securitytask"),
        Isolate("securitytaskdevice"),
        Isolate("manageddevice"),
    ]
