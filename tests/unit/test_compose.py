"""docker-compose.yml names only what exists: commands, modules, ports, volumes, secrets and variables."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service.get("build") == "."}
RSYSLOG = SERVICES["rsyslog"]
INTEGRATION = ROOT / "integrations" / "rsyslog"
VARIABLES = set(re.findall(r"^([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text("utf-8"), re.M))
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def test_every_role_is_there() -> None:
    assert set(OURS) == {"migrate", "web", "worker", "beat", "receiver"}
    assert set(SERVICES) - set(OURS) == {"postgres", "redis", "rsyslog"}


@pytest.mark.parametrize("name", OURS)
def test_its_variables_are_documented(name: str) -> None:
    assert set(OURS[name]["environment"]) <= VARIABLES


@pytest.mark.parametrize("name", [*OURS, "rsyslog"])
def test_it_runs_with_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not {"privileged", "user", "network_mode", "pid"} & set(service)


def test_the_image_runs_as_a_user() -> None:
    assert re.search(r"^USER airf5$", DOCKERFILE, re.M)
    assert re.search(r'^ENTRYPOINT \["tini", "--"\]$', DOCKERFILE, re.M)


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_come_from_files(name: str) -> None:
    service = SERVICES[name]
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    for variable, value in service.get("environment", {}).items():
        if re.search(r"PASSWORD|SECRET", variable):
            assert variable.endswith("_FILE")
            assert value.removeprefix("/run/secrets/") in service["secrets"]


@pytest.mark.parametrize("name", SERVICES)
def test_volumes_are_named_ones(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        assert volume.split(":")[0] in COMPOSE["volumes"]


def test_the_folders_of_the_image_are_the_mounted_ones() -> None:
    targets = {volume.split(":")[1] for volume in OURS["web"]["volumes"]}
    assert targets == set(re.findall(r"AIRF5_(?:HOME|SPOOL_DIR)=(/var\S+)", DOCKERFILE))


def test_ports_are_the_ones_the_settings_default_to() -> None:
    defaults = dict(re.findall(r"^(AIRF5_\w*PORT)=(\d+)", (ROOT / ".env.example").read_text("utf-8"), re.M))
    exposed = re.findall(r"^EXPOSE (.+)$", DOCKERFILE, re.M)
    assert exposed[0].split() == [
        defaults["AIRF5_PORT"],
        defaults["AIRF5_SYSLOG_PORT"],
        f"{defaults['AIRF5_SYSLOG_PORT']}/udp",
    ]
    published = {port.rpartition(":")[2].removesuffix("/udp") for s in OURS.values() for port in s.get("ports", [])}
    assert published == set(defaults.values())


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate"}))
def test_what_keeps_running_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", sorted(set(OURS) - {"migrate"}))
def test_nothing_starts_before_the_tables_are_there(name: str) -> None:
    assert OURS[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_every_dependency_is_a_service() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)


def test_the_example_of_the_sources_fits_the_services() -> None:
    example = re.search(r"```yaml\n(x-sources.*?)```", (ROOT / "docs" / "sources.md").read_text("utf-8"), re.S)
    assert example
    more = yaml.safe_load(example[1])
    assert set(more["services"]) <= set(OURS)
    for service in more["services"].values():
        assert set(service["environment"]) <= VARIABLES
        assert set(service["secrets"]) <= set(more["secrets"])
        assert [volume.split(":")[1] for volume in service["volumes"]] == [service["environment"]["AIRF5_SOURCES_FILE"]]


def stage(name: str) -> str:
    """The lines of one stage of the Dockerfile; "" is the last one, which is built when nothing is named."""
    stages = re.split(r"^(?=FROM )", DOCKERFILE, flags=re.M)[1:]
    return next(text for text in stages if text.partition("\n")[0].endswith(f" AS {name}")) if name else stages[-1]


def test_rsyslog_is_a_stage_of_the_same_image_and_stays_a_user() -> None:
    assert RSYSLOG["build"] == {"context": ".", "target": "rsyslog"}
    lines = stage("rsyslog").splitlines()
    assert lines[0] == "FROM airf5 AS rsyslog"
    assert [line for line in lines if line.startswith("USER ")] == ["USER root", "USER airf5"]
    assert lines.index("USER airf5") > next(n for n, line in enumerate(lines) if line.startswith("RUN "))
    assert stage("").splitlines() == ["FROM airf5"]
    assert {"rsyslog-relp", "rsyslog-gnutls"} <= set(stage("rsyslog").split())


def test_rsyslog_finds_what_its_configuration_asks_for() -> None:
    asked = set(re.findall(r"`echo \$(\w+)`", "".join(path.read_text("utf-8") for path in INTEGRATION.glob("*.conf"))))
    assert asked == set(RSYSLOG["environment"]) - {"TZ"} and RSYSLOG["environment"]["TZ"] == "UTC"
    command = json.loads(re.findall(r"^CMD (.+)$", stage("rsyslog"), re.M)[-1])
    for place in (command[command.index("-f") + 1], RSYSLOG["environment"]["AIRF5_RSYSLOG_WRITE"].split()[1]):
        assert (ROOT / Path(place).relative_to("/srv/airf5")).is_file()


def test_rsyslog_writes_where_the_workers_read_and_queues_where_it_may() -> None:
    targets = dict(reversed(volume.split(":")) for volume in RSYSLOG["volumes"])
    _, _, spool, port, queue = RSYSLOG["environment"]["AIRF5_RSYSLOG_WRITE"].split()
    assert targets[spool] == "spool" and f"spool:{spool}" in OURS["worker"]["volumes"]
    assert targets[queue] == "rsyslog" and queue == RSYSLOG["environment"]["AIRF5_RSYSLOG_QUEUE"]
    assert f"-g airf5 {queue}" in stage("rsyslog")
    assert port == RSYSLOG["environment"]["AIRF5_SYSLOG_PORT"]


def test_rsyslog_publishes_the_ports_it_listens_on_and_takes_the_place_of_the_receiver() -> None:
    listening = {value for key, value in RSYSLOG["environment"].items() if key.endswith("_PORT")}
    assert {port.rpartition(":")[2].removesuffix("/udp") for port in RSYSLOG["ports"]} == listening
    assert set(re.findall(r"^EXPOSE (.+)$", stage("rsyslog"), re.M)[0].split()) == {
        port.rpartition(":")[2] for port in RSYSLOG["ports"]
    }
    assert set(OURS["receiver"]["ports"]) <= set(RSYSLOG["ports"]) and RSYSLOG["profiles"] == ["rsyslog"]


def test_the_example_of_tls_fits_the_service() -> None:
    example = re.search(r"```yaml\n(.*?)```", (INTEGRATION / "README.md").read_text("utf-8"), re.S)
    assert example
    more = yaml.safe_load(example[1])
    (service,) = more["services"].values()
    assert set(more["services"]) == {"rsyslog"} and set(service["environment"]) <= set(RSYSLOG["environment"])
    assert set(service["secrets"]) == set(more["secrets"])
    for key in ("AIRF5_TLS_CERT", "AIRF5_TLS_KEY", "AIRF5_TLS_CA"):
        assert RSYSLOG["environment"][key].removeprefix("/run/secrets/") in service["secrets"]
