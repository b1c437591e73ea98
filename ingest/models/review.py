"""What people say of verdicts: confirmed, or overturned with what was right instead. Kept beside the machine's answer."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from .airflow import Try


class Review(models.Model):
    """One person's word on the answer of one try. It is never changed: a newer word of theirs withdraws the one before.

    `answer` is what the verdict said at that moment, so that the word stays true when the try is judged again.
    """

    class Says(models.TextChoices):
        CONFIRMED = "confirmed", "confirmed"
        OVERTURNED = "overturned", "overturned"

    try_row = models.ForeignKey(Try, on_delete=models.CASCADE, related_name="reviews")
    author = models.CharField(max_length=150)
    at = models.DateTimeField()
    says = models.CharField(max_length=10, choices=Says)
    culprit = models.CharField(max_length=10, blank=True, default="", help_text="what was right instead")
    cause = models.CharField(max_length=30, blank=True, default="", help_text="empty: the person does not know it")
    component = models.CharField(max_length=300, blank=True, default="")
    words = models.TextField(blank=True, default="")
    answer = models.JSONField(help_text="the verdict that was reviewed: its columns that ingest.actions.ANSWER names")
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("try_row", "author"), condition=Q(withdrawn_at=None), name="review_one_word_a_person"
            ),
            models.CheckConstraint(
                condition=Q(says="confirmed", culprit="", cause="", component="")
                | (Q(says="overturned") & ~Q(culprit="")),
                name="review_says_what_instead",
            ),
        )
        indexes = (models.Index(fields=("-at",)),)

    def __str__(self) -> str:
        return f"{self.says} by {self.author}"

    def is_about(self, culprit: str, cause: str, component: str) -> bool:
        """Whether this is the answer that was reviewed."""
        about = self.answer
        return (about["culprit"], about["cause"], about["component"]) == (culprit, cause, component)

    def agrees_with(self, culprit: str, cause: str, component: str) -> bool:
        """Whether an answer says what this person says; what they left open is left open."""
        if self.says == self.Says.CONFIRMED:
            return self.is_about(culprit, cause, component)
        if self.culprit != culprit or (self.cause or cause) != cause:
            return False
        return not self.component or bool(named(self.component) & named(component))


def named(component: str) -> set[str]:
    """How people write a component: whole, its last part, and that without its port."""
    whole = component.strip().lower()
    last = whole.rsplit("/", 1)[-1]
    return {whole, last, last.split(":", 1)[0]} if whole else set()
