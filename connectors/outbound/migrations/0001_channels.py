"""Channels to tell IT admins by, and the ledger of what was sent to them."""

import connectors.outbound.models
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import portal.tenancy.models
import uuid_utils.compat
from django.conf import settings
from django.db import migrations, models

from portal.tenancy.operations import Isolate


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('tenancy', '0003_tenant_by_slug'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Channel',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('email', 'E-mail'), ('teams', 'Microsoft Teams workflow'), ('slack', 'Slack'), ('webhook', 'Signed webhook')], max_length=10, verbose_name='kind')),
                ('name', models.CharField(max_length=200, verbose_name='name')),
                ('is_on', models.BooleanField(db_default=True, default=True, verbose_name='on')),
                ('events', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=connectors.outbound.models.wanted_events, max_length=40), default=list, size=None, verbose_name='events')),
                ('language', models.CharField(choices=connectors.outbound.models.languages, default='en', max_length=10, verbose_name='language')),
                ('emails', django.contrib.postgres.fields.ArrayField(base_field=models.EmailField(max_length=254), blank=True, default=list, size=None, verbose_name='e-mail addresses')),
                ('host', models.CharField(blank=True, editable=False, max_length=300, verbose_name='host')),
                ('url_sealed', models.BinaryField(null=True, verbose_name='address')),
                ('signing_secret_sealed', models.BinaryField(null=True, verbose_name='signing secret')),
                ('signing_secret_set_at', models.DateTimeField(editable=False, null=True, verbose_name='signing secret set')),
                ('last_delivered_at', models.DateTimeField(editable=False, null=True, verbose_name='last delivered')),
                ('failing_since', models.DateTimeField(editable=False, null=True, verbose_name='failing since')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='created')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'notification channel',
                'verbose_name_plural': 'notification channels',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('channel_name', models.CharField(max_length=200, verbose_name="channel's name")),
                ('kind', models.CharField(choices=[('email', 'E-mail'), ('teams', 'Microsoft Teams workflow'), ('slack', 'Slack'), ('webhook', 'Signed webhook')], max_length=10, verbose_name='kind')),
                ('sent_to', models.TextField(blank=True, verbose_name='sent to')),
                ('event', models.CharField(choices=connectors.outbound.models.told_events, max_length=40, verbose_name='event')),
                ('key', models.CharField(max_length=200, verbose_name='key')),
                ('subject', models.CharField(max_length=300, verbose_name='subject')),
                ('facts', models.JSONField(default=list, verbose_name='facts')),
                ('path', models.CharField(blank=True, max_length=300, verbose_name='page')),
                ('object_type', models.CharField(max_length=50, verbose_name='about')),
                ('object_id', models.UUIDField(verbose_name='about')),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('sending', 'Sending'), ('delivered', 'Delivered'), ('failed', 'Failed'), ('unknown', 'Unknown')], default='queued', max_length=10, verbose_name='state')),
                ('attempts', models.PositiveIntegerField(default=0, verbose_name='attempts')),
                ('not_before', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='not before')),
                ('lease_until', models.DateTimeField(editable=False, null=True)),
                ('fence', models.PositiveIntegerField(default=0, editable=False)),
                ('was_in_doubt', models.BooleanField(default=False, verbose_name='may have arrived')),
                ('http_status', models.PositiveSmallIntegerField(null=True, verbose_name='HTTP status')),
                ('error', models.TextField(blank=True, verbose_name='last error')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='written')),
                ('tried_at', models.DateTimeField(null=True, verbose_name='last tried')),
                ('delivered_at', models.DateTimeField(null=True, verbose_name='delivered')),
                ('asked_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='asked by')),
                ('channel', portal.tenancy.models.TenantForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='outbound.channel', verbose_name='channel')),
                ('replay_of', portal.tenancy.models.TenantForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='outbound.delivery', verbose_name='sent again')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'delivery',
                'verbose_name_plural': 'deliveries',
                'base_manager_name': 'objects',
            },
        ),
        migrations.AddConstraint(
            model_name='channel',
            constraint=models.UniqueConstraint(fields=('tenant', 'name'), name='one_channel_of_a_name'),
        ),
        migrations.AddConstraint(
            model_name='channel',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['email', 'teams', 'slack', 'webhook'])), name='channel_kind_is_known'),
        ),
        migrations.AddConstraint(
            model_name='channel',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'webhook'), ('signing_secret_sealed__isnull', False)), models.Q(('kind', 'webhook'), _negated=True), _connector='OR'), name='webhook_is_signed'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('state', 'queued')), fields=['not_before'], name='delivery_to_send'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('state', 'sending')), fields=['lease_until'], name='delivery_under_way'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['tenant', 'object_id'], name='deliveries_about'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.UniqueConstraint(fields=('tenant', 'channel', 'key'), name='one_delivery_of_a_key'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['queued', 'sending', 'delivered', 'failed', 'unknown'])), name='delivery_state_is_known'),
        ),
        Isolate("channel"),
        Isolate("delivery"),
    ]
