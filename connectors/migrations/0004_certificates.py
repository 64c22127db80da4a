"""A tenant's own app registration may sign in with a certificate in place of the secret; there are none yet."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('connectors', '0003_clouds'),
        ('tenancy', '0003_tenant_by_slug'),
    ]

    operations = [
        migrations.AlterField(
            model_name='connection',
            name='client_id',
            field=models.CharField(blank=True, db_default='', default='', help_text="The tenant's own app registration, used as soon as it has a credential. Empty: the provider's.", max_length=64, verbose_name='client id'),
        ),
        migrations.AddField(
            model_name='connection',
            name='client_certificate_sealed',
            field=models.BinaryField(null=True, verbose_name='certificate'),
        ),
        migrations.AddField(
            model_name='connection',
            name='client_certificate_thumbprint',
            field=models.CharField(db_default='', default='', editable=False, max_length=64, verbose_name="certificate's thumbprint (SHA-256)"),
        ),
        migrations.AddField(
            model_name='connection',
            name='client_certificate_expires_at',
            field=models.DateTimeField(editable=False, null=True, verbose_name='certificate expires'),
        ),
        migrations.AddConstraint(
            model_name='connection',
            constraint=models.CheckConstraint(condition=models.Q(('client_certificate_sealed', None), models.Q(models.Q(('client_id', ''), _negated=True), ('client_certificate_expires_at__isnull', False)), _connector='OR'), name='client_certificate_belongs_to_a_client_id'),
        ),
    ]
