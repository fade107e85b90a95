"""When the pods of a commit were ready, and pods by their phase."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("control", "0012_canaries")]

    operations = [
        migrations.AddField(model_name="sync", name="ready_at", field=models.FloatField(default=0)),
        migrations.AddIndex(
            model_name="pod", index=models.Index(fields=["phase"], name="pod_phase"),
        ),
    ]
