"""Self-heal: whether an application puts back what was changed live, and how that is found out."""

from collections import defaultdict

from django.db import migrations, models

HELD = ("Namespace", "ConfigMap", "Secret", "AnalysisTemplate", "Deployment", "Service", "Ingress", "NetworkPolicy",
        "PodDisruptionBudget")  # fmt: skip


def note_what_is_held(apps, _editor):
    """From then on every sync says so itself."""
    found = defaultdict(set)
    for kind in HELD:
        rows = apps.get_model("control", kind).objects.filter(application__isnull=False).exclude(manifest_hash="")
        for application, namespace, name in rows.values_list("application_id", "namespace", "name"):
            found[application].add(f"{kind}/{namespace}/{name}")
    for application, lines in found.items():
        holds = "\n" + "\n".join(sorted(lines)) + "\n"
        apps.get_model("control", "Application").objects.filter(pk=application).update(holds=holds)


class Migration(migrations.Migration):
    dependencies = [("control", "0013_pages")]

    operations = [
        migrations.AddField(model_name="application", name="self_heal", field=models.BooleanField(default=True)),
        migrations.AddField(model_name="application", name="drift", field=models.TextField(blank=True, default=""),
                            preserve_default=False),
        migrations.AddField(model_name="application", name="holds", field=models.TextField(blank=True, default=""),
                            preserve_default=False),
        migrations.AddField(model_name="application", name="suspected", field=models.BigIntegerField(default=0)),
        migrations.CreateModel(
            name="LogReader",
            fields=[
                ("name", models.CharField(max_length=32, primary_key=True, serialize=False)),
                ("resource_version", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.RunPython(note_what_is_held, migrations.RunPython.noop),
    ]  # fmt: skip
