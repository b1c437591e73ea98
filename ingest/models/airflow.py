"""Airflow's side: instances, DAGs, runs, tries and what their logs say."""

from __future__ import annotations

from django.db import models


class Airflow(models.Model):
    """One Airflow instance we pull from."""

    name = models.CharField(max_length=100, unique=True)
    version = models.CharField(max_length=40, blank=True, default="")
    api = models.CharField(max_length=4, default="v2")
    url = models.CharField(max_length=300, blank=True, default="")
    workers = models.JSONField(default=dict, blank=True, help_text="hostname -> client address, where known")
    health = models.JSONField(default=dict, blank=True)

    def __str__(self) -> str:
        return self.name


class Dag(models.Model):
    airflow = models.ForeignKey(Airflow, on_delete=models.CASCADE, related_name="dags")
    dag_id = models.CharField(max_length=250)
    is_paused = models.BooleanField(default=False)
    tags = models.JSONField(default=list, blank=True)
    owners = models.JSONField(default=list, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("airflow", "dag_id"), name="dag_once"),)

    def __str__(self) -> str:
        return self.dag_id


class AirflowPool(models.Model):
    """A slot pool of Airflow, as last seen."""

    airflow = models.ForeignKey(Airflow, on_delete=models.CASCADE, related_name="pools")
    name = models.CharField(max_length=256)
    slots = models.IntegerField(null=True)
    occupied = models.IntegerField(null=True)
    queued = models.IntegerField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("airflow", "name"), name="airflow_pool_once"),)

    def __str__(self) -> str:
        return self.name


class Connection(models.Model):
    """An Airflow connection's address: leads from a task's conn_id to an endpoint."""

    airflow = models.ForeignKey(Airflow, on_delete=models.CASCADE, related_name="connections")
    conn_id = models.CharField(max_length=250)
    conn_type = models.CharField(max_length=100, blank=True, default="")
    host = models.CharField(max_length=500, blank=True, default="")
    port = models.IntegerField(null=True)
    schema = models.CharField(max_length=100, blank=True, default="")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("airflow", "conn_id"), name="connection_once"),)

    def __str__(self) -> str:
        return self.conn_id


class Job(models.Model):
    """A scheduler, triggerer or DAG processor process."""

    airflow = models.ForeignKey(Airflow, on_delete=models.CASCADE, related_name="jobs")
    job_id = models.BigIntegerField()
    job_type = models.CharField(max_length=40)
    state = models.CharField(max_length=20, blank=True, default="")
    hostname = models.CharField(max_length=250, blank=True, default="")
    start_at = models.DateTimeField(null=True)
    end_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("airflow", "job_id"), name="job_once"),)

    def __str__(self) -> str:
        return f"{self.job_type} {self.job_id}"


class DagRun(models.Model):
    airflow = models.ForeignKey(Airflow, on_delete=models.CASCADE, related_name="runs")
    dag_id = models.CharField(max_length=250)
    run_id = models.CharField(max_length=250)
    state = models.CharField(max_length=20, blank=True, default="")
    run_type = models.CharField(max_length=30, blank=True, default="")
    queued_at = models.DateTimeField(null=True)
    start_at = models.DateTimeField(null=True)
    end_at = models.DateTimeField(null=True)
    run_after = models.DateTimeField(null=True)
    triggered_by = models.CharField(max_length=50, blank=True, default="")
    triggering_user = models.CharField(max_length=250, blank=True, default="")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("airflow", "dag_id", "run_id"), name="dagrun_once"),)
        indexes = (models.Index(fields=("start_at",)), models.Index(fields=("end_at",), name="dagrun_end"))

    def __str__(self) -> str:
        return f"{self.dag_id} {self.run_id}"


class DagVersion(models.Model):
    """One version of a DAG as Airflow 3 serialized it: made when a deployment changed its code. Airflow 2 has none."""

    airflow = models.ForeignKey(Airflow, on_delete=models.CASCADE, related_name="dag_versions")
    dag_id = models.CharField(max_length=250)
    number = models.IntegerField()
    at = models.DateTimeField(help_text="when Airflow made it")
    bundle = models.CharField(max_length=250, blank=True, default="")
    bundle_version = models.CharField(
        max_length=250, blank=True, default="", help_text="a commit, where the bundle has them"
    )
    raw = models.TextField(blank=True, default="", help_text="as Airflow told it")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("airflow", "dag_id", "number"), name="dag_version_once"),)
        indexes = (models.Index(fields=("at",)),)

    def __str__(self) -> str:
        return f"{self.dag_id} version {self.number}"


class Try(models.Model):
    """One attempt of one task instance. Merged from observations; a fact of an ended try never goes back."""

    class LogState(models.TextChoices):
        NONE = "", "not needed"
        WANTED = "wanted", "to be fetched"
        FETCHED = "fetched", "fetched"
        ABSENT = "absent", "Airflow has none"
        REFUSED = "refused", "cannot be read"

    airflow = models.ForeignKey(Airflow, on_delete=models.CASCADE, related_name="tries")
    dag_id = models.CharField(max_length=250)
    run_id = models.CharField(max_length=250)
    task_id = models.CharField(max_length=250)
    map_index = models.IntegerField(default=-1)
    try_number = models.IntegerField()
    ti_id = models.UUIDField(null=True)
    ti_id_from = models.CharField(
        max_length=12,
        blank=True,
        default="",
        help_text="how the UUID was known: rest, task_log, database or history (nearest row of /tries)",
    )
    state = models.CharField(max_length=20, blank=True, default="")
    max_tries = models.IntegerField(null=True)
    scheduled_at = models.DateTimeField(null=True)
    queued_at = models.DateTimeField(null=True)
    start_at = models.DateTimeField(null=True)
    end_at = models.DateTimeField(null=True)
    duration_s = models.FloatField(null=True)
    own_s = models.FloatField(null=True, help_text="seconds from the first /run (else from queued) to the end")
    code_s = models.FloatField(null=True, help_text="seconds of its run that none of its requests through F5 took")
    hostname = models.CharField(max_length=250, blank=True, default="")
    airflow_pool = models.CharField(max_length=256, blank=True, default="")
    pool_slots = models.IntegerField(null=True)
    queue = models.CharField(max_length=256, blank=True, default="")
    operator = models.CharField(max_length=250, blank=True, default="")
    conn_id = models.CharField(max_length=250, blank=True, default="")
    path = models.TextField(blank=True, default="")
    rendered = models.JSONField(null=True)
    log_state = models.CharField(max_length=8, choices=LogState, blank=True, default=LogState.NONE)
    log_failed = models.IntegerField(default=0, db_default=0, help_text="how often in a row it could not be read")
    log_next_at = models.DateTimeField(null=True, blank=True, help_text="it is not asked for again before")
    history_wanted = models.BooleanField(default=False, help_text="earlier tries are to be read from /tries")
    judge = models.BooleanField(default=False, help_text="something about it changed since it was judged")
    seen_at = models.DateTimeField(help_text="newest observation merged")

    class Meta:
        verbose_name_plural = "tries"
        constraints = (
            models.UniqueConstraint(
                fields=("airflow", "dag_id", "run_id", "task_id", "map_index", "try_number"), name="try_once"
            ),
        )
        indexes = (
            models.Index(fields=("ti_id",)),
            models.Index(fields=("end_at",)),
            models.Index(fields=("queued_at",)),
            models.Index(fields=("airflow", "dag_id", "task_id", "-end_at")),
            models.Index(fields=("judge",), name="try_to_judge", condition=models.Q(judge=True)),
            models.Index(
                fields=("log_state",), name="try_log_wanted", condition=models.Q(log_state__in=("wanted", "refused"))
            ),
        )

    def __str__(self) -> str:
        place = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return f"{self.dag_id} · {self.task_id}{place} #{self.try_number}"


class TryKey(models.Model):
    """What a request can show of a try, interned: its UUID, or without one the JSON list [dag, run, task, map, try].

    A request stores the id as soon as either side shows the key; REST fills in `try_row` later, nothing is re-linked.
    """

    key = models.TextField(unique=True)
    try_row = models.ForeignKey(Try, null=True, on_delete=models.SET_NULL, related_name="keys")

    class Meta:
        indexes = (models.Index(fields=("try_row",)),)

    def __str__(self) -> str:
        return self.key


class Trace(models.Model):
    """A trace id seen with a try's UUID: names the DAG run (Airflow 3.3 sends one trace id per run)."""

    trace_id = models.CharField(
        max_length=140, unique=True, help_text="with the capture's name before it, where it is a capture's"
    )
    try_key = models.ForeignKey(TryKey, on_delete=models.CASCADE)

    def __str__(self) -> str:
        return self.trace_id


class TaskLog(models.Model):
    """What the task log of one try says about its end: the fields of records.TaskLog."""

    try_row = models.OneToOneField(Try, on_delete=models.CASCADE, related_name="log")
    facts = models.JSONField()
    fetched_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.try_row)
