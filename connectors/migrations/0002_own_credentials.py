"""A connection may have its own app registration: a client id and a sealed secret; both empty on what is there."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('connectors', '0001_connections'),
        ('tenancy', '0003_tenant_by_slug'),
    ]

    operations = [
        migrations.AddField(
            model_name='connection',
            name='client_id',
            field=models.CharField(blank=True, db_default='', default='', help_text="The tenant's own app registration, used as soon as its secret is set. Empty: the provider's.", max_length=64, verbose_name='client id'),
        ),
        migrations.AddField(
            model_name='connection',
            name='client_secret_sealed',
            field=models.BinaryField(null=True, verbose_name='client secret'),
        ),
        migrations.AddField(
            model_name='connection',
            name='client_secret_set_at',
            field=models.DateTimeField(editable=False, null=True, verbose_name='client secret set'),
        ),
        migrations.AddConstraint(
            model_name='connection',
            constraint=models.CheckConstraint(condition=models.Q(('client_secret_sealed', None), models.Q(models.Q(('client_id', ''), _negated=True), ('client_secret_set_at__isnull', False)), _connector='OR'), name='client_secret_belongs_to_a_client_id'),
        ),
    ]
