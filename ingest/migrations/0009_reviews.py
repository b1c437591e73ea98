"""What people say of verdicts, and the rows that a replaced verdict rested on."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("ingest", "0008_incidents"),)

    operations = (
        migrations.AddField(
            model_name="verdicthistory",
            name="evidence",
            field=models.JSONField(
                default=list,
                help_text="the rows it rested on: feed, kind, line_id, at, link, says, raw, in their order",
            ),
        ),
        migrations.CreateModel(
            name="Review",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("author", models.CharField(max_length=150)),
                ("at", models.DateTimeField()),
                (
                    "says",
                    models.CharField(choices=[("confirmed", "confirmed"), ("overturned", "overturned")], max_length=10),
                ),
                (
                    "culprit",
                    models.CharField(blank=True, default="", help_text="what was right instead", max_length=10),
                ),
                (
                    "cause",
                    models.CharField(
                        blank=True, default="", help_text="empty: the person does not know it", max_length=30
                    ),
                ),
                ("component", models.CharField(blank=True, default="", max_length=300)),
                ("words", models.TextField(blank=True, default="")),
                (
                    "answer",
                    models.JSONField(
                        help_text="the verdict that was reviewed: its columns that ingest.actions.ANSWER names"
                    ),
                ),
                ("withdrawn_at", models.DateTimeField(null=True)),
                ("withdrawn_by", models.CharField(blank=True, default="", max_length=150)),
                (
                    "try_row",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="reviews", to="ingest.try"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["-at"], name="ingest_revi_at_6bda5a_idx")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("withdrawn_at", None)),
                        fields=("try_row", "author"),
                        name="review_one_word_a_person",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("cause", ""), ("component", ""), ("culprit", ""), ("says", "confirmed")),
                            models.Q(("says", "overturned"), models.Q(("culprit", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="review_says_what_instead",
                    ),
                ],
            },
        ),
    )
