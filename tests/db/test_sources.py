"""The sources file: all of it or nothing, the same twice changes nothing, and an error names entry and field."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from airf5.accounts.models import UserAction
from ingest import actions
from ingest.models import Airflow, Device, Feed

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "sources.example.json"
AIRFLOW = {"kind": "airflow", "name": "prod", "url": "https://airflow.example.com", "token": "env:AIRFLOW_TOKEN"}
DEVICE = {"kind": "device", "name": "bigip-1", "sender": "192.0.2.11"}


@pytest.fixture
def sources(tmp_path: Path) -> Any:
    """Write these entries to a file and run the command; what it prints."""

    def run(*entries: Any, text: str | None = None, check: bool = False) -> str:
        file, out = tmp_path / "sources.json", io.StringIO()
        file.write_text(json.dumps(entries) if text is None else text)
        call_command("sources", str(file), *(["--check"] if check else []), stdout=out)
        return out.getvalue()

    return run


def changes() -> list[tuple[str, str, str]]:
    return list(UserAction.objects.order_by("pk").values_list("actor", "verb", "target"))


def test_the_example_works() -> None:
    out = io.StringIO()
    call_command("sources", str(EXAMPLE), stdout=out)
    assert out.getvalue().endswith("8 sources, 8 created, changed or stopped.\n")
    assert Airflow.objects.get().url == "https://airflow.example.com"
    assert set(Device.objects.values_list("name", "group__name", "utc_offset_s", "logs_requests")) == {
        ("bigip-1", "bigip-pair", 3600, True),
        ("bigip-2", "bigip-pair", 3600, False),  # its template logs responses only
    }
    feed = Feed.objects.get(name="bigip-1/request")
    assert feed.config == {"glob": [f"{settings.AIRF5_SPOOL_DIR}/192.0.2.11/request*.log*"]}
    assert Feed.objects.get(name="bigip-1/icontrol").config == {"folder": "/var/spool/airf5/icontrol/bigip-1"}
    assert set(Feed.objects.filter(config__has_key="template").values_list("name", flat=True)) == {"bigip-2/request"}
    assert Feed.objects.get(kind="airflow_api").config["poll_s"] == 10


def test_what_is_set_up_can_be_printed_and_read_again(sources: Any) -> None:
    sources(AIRFLOW | {"allow": ["10.0.0.0/8"], "options": {"verify": False}}, DEVICE | {"utc_offset": "-05:30"})
    sealed = {"base_url": "https://b.example.com", "username": "airf5", "password": "sealed:"}
    actions.configure_source("airflow_api", "by hand", None, None, sealed, "ann", {"password": "s3cret"})
    out = io.StringIO()
    call_command("sources", "--print", stdout=out)
    printed = out.getvalue()
    assert "s3cret" not in printed and "  # password: is sealed; name env:NAME or file:/path here\n" in printed
    told = sources(text=printed.replace("# password: is sealed; name env:NAME or file:/path here", "password: env:B"))
    assert "prod: unchanged" in told and "bigip-1/request: unchanged" in told and "by hand: changed" in told


def test_the_yaml_of_the_documentation_works(sources: Any) -> None:
    text = (EXAMPLE.parent / "sources.md").read_text("utf-8").partition("```yaml\n- kind")[2].partition("```")[0]
    assert "4 sources, 4 created, changed or stopped" in sources(text=f"- kind{text}")
    assert Feed.objects.get(name="prod").config["through"] == "https://airflow-vip.example.com"


def test_the_same_file_twice_changes_nothing(sources: Any) -> None:
    sources(AIRFLOW, DEVICE)
    Feed.objects.filter(name="prod").update(enabled=False)
    before = changes(), list(Feed.objects.order_by("pk").values())
    assert "prod: unchanged\n" in (told := sources(AIRFLOW, DEVICE)) and "0 created, changed or stopped" in told
    assert (changes(), list(Feed.objects.order_by("pk").values())) == before


def test_what_differs_is_changed_and_said(sources: Any) -> None:
    sources(AIRFLOW, DEVICE)
    told = sources(AIRFLOW | {"poll_seconds": 30}, DEVICE | {"utc_offset": "-05:00"})
    assert "prod: changed" in told and "bigip-1/request: changed" in told and "bigip-1/ltm: unchanged" in told
    assert changes()[-2:] == [
        ("sources file", "change_source", "prod"),
        ("sources file", "change_source", "bigip-1/request"),
    ]
    assert UserAction.objects.latest("pk").detail["config"]["utc_offset_s"] == -5 * 3600
    assert Device.objects.get().utc_offset_s == -5 * 3600


def test_what_an_entry_has_no_more_is_stopped_and_what_has_no_entry_is_left_alone(sources: Any) -> None:
    rest = {"url": "https://bigip-1.example.com", "username": "airf5", "password": "env:BIGIP_PASSWORD"}
    sources(AIRFLOW, DEVICE | rest)
    captured = Feed.objects.create(name="c", kind="f5_request", device=Device.objects.get(), capture="lab1")
    assert "bigip-1/rest: would be stopped" in sources(DEVICE, check=True)
    assert Feed.objects.get(name="bigip-1/rest").enabled
    told = sources(DEVICE)
    assert "bigip-1/rest: stopped" in told and "1 created, changed or stopped" in told and "prod" not in told
    assert [feed.name for feed in Feed.objects.filter(enabled=False)] == ["bigip-1/rest"]
    assert changes()[-1] == ("sources file", "disable_source", "bigip-1/rest")
    assert "0 created" in sources(DEVICE) and Feed.objects.get(pk=captured.pk).enabled
    assert "bigip-1/rest: changed" in sources(DEVICE | rest) and Feed.objects.get(name="bigip-1/rest").enabled


def test_check_changes_nothing(sources: Any) -> None:
    told = sources(AIRFLOW, DEVICE, check=True)
    assert "prod: would be created" in told and "nothing was changed" in told
    assert not Feed.objects.exists() and not Device.objects.exists() and not UserAction.objects.exists()


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("prod", r"Entry 2 is no object with fields"),
        ({"name": "x"}, r'Entry 2: kind must be "airflow" or "device"'),
        ({"kind": "device"}, r"Entry 2: name must be a text"),
        (AIRFLOW, r"Entry 2 \(airflow prod\): Entry 1 \(airflow prod\) has the same name"),
        (AIRFLOW | {"name": "b", "url": "airflow"}, r'Entry 2 \(airflow b\): url "airflow" must be an address'),
        (AIRFLOW | {"name": "b", "url": "https://u:p@x.example"}, r"url .* must not hold a user or a password"),
        (AIRFLOW | {"name": "b", "token": "s3cret"}, r"\(airflow b\): token must be env:NAME or file:/path"),
        ({"kind": "airflow", "name": "b", "url": "https://x.example"}, r"token is missing"),
        (AIRFLOW | {"name": "b", "poll_seconds": "10"}, r"poll_seconds \"10\" must be a number"),
        (AIRFLOW | {"name": "b", "api": "v3"}, r'api "v3" must be auto, v1 or v2'),
        (AIRFLOW | {"name": "b", "auth": "kerberos"}, r"auth \"kerberos\" must be basic, token or bearer"),
        (AIRFLOW | {"name": "b", "auth": "basic"}, r"username with its password is missing: auth basic needs both"),
        (AIRFLOW | {"name": "b", "database": "postgresql://u:s3cret@h/a"}, r"\(airflow b\): database must be env:NAME"),
        (AIRFLOW | {"name": "b", "pol": 1}, r"there is no field pol; known are kind, name, url"),
        ({"kind": "device", "name": "d"}, r"Entry 2 \(device d\): sender or spool is needed"),
        (DEVICE | {"sender": "bigip"}, r'sender "bigip" must be an IP address'),
        (DEVICE | {"utc_offset": "+25:00"}, r'utc_offset "\+25:00" must be an offset'),
        (DEVICE | {"logs_requests": "no"}, r'logs_requests "no" must be true or false'),
        (DEVICE | {"template": "$CLIENT_IP$SERVER_IP "}, r"template .* nothing stands between \$CLIENT_IP and"),
        (DEVICE | {"folder": "icontrol"}, r'folder "icontrol" must be an absolute path'),
    ],
)
def test_an_error_names_entry_and_field_and_nothing_is_done(sources: Any, entry: Any, sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence) as error:
        sources(AIRFLOW, entry)
    assert error.value.returncode == 2 and "s3cret" not in str(error.value) and "\n" not in str(error.value)
    assert not Feed.objects.exists()


def test_two_devices_cannot_have_the_same_logs(sources: Any) -> None:
    with pytest.raises(CommandError, match=r"Entry 2 \(device b\): Entry 1 \(device bigip-1\) has the same logs"):
        sources(DEVICE, {"kind": "device", "name": "b", "spool": "192.0.2.11"})


def test_what_the_database_refuses_undoes_all_of_it(sources: Any) -> None:
    actions.configure_source("f5_ltm", "prod", None, "old", {"glob": []}, "ann")
    with pytest.raises(CommandError, match=r"Entry 2 \(airflow prod\): prod is another kind of source already"):
        sources(DEVICE, AIRFLOW)
    assert Feed.objects.count() == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not YAML or JSON: .*line 1"),
        ("{}", "must hold a list of sources"),
        ("- kind: device\n  name: a\n  kind: airflow\n", "'kind' stands twice .line 3, column 3"),
        ("- !!python/object/apply:os.system [ls]", "is not YAML or JSON: could not determine a constructor"),
    ],
)
def test_a_file_that_is_no_list_is_refused(sources: Any, text: str, sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        sources(text=text)


def test_without_a_file_there_is_nothing_to_do(tmp_path: Path) -> None:
    out = io.StringIO()
    call_command("sources", stdout=out)
    assert "AIRF5_SOURCES_FILE is not set" in out.getvalue()
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        call_command("sources", str(tmp_path / "none.json"))


YAML = """
- &first
  kind: airflow
  name: prod
  url: https://airflow.example.com
  token: env:AIRFLOW_TOKEN
  allow: [10.1.0.0/16, 2001:db8::/32]
- <<: *first
  name: stage
- {kind: device, name: bigip-1, sender: 192.0.2.11, utc_offset: "-05:00"}
"""


def test_yaml_says_the_same_as_json(sources: Any) -> None:
    sources(text=YAML)
    assert Feed.objects.get(name="stage").config["allow"] == ["10.1.0.0/16", "2001:db8::/32"]
    both = AIRFLOW | {"allow": ["10.1.0.0/16", "2001:db8::/32"]}
    told = sources(both, both | {"name": "stage"}, DEVICE | {"utc_offset": "-05:00"})
    assert "0 created, changed or stopped" in told


def test_the_list_may_stand_in_the_environment(settings: Any) -> None:
    settings.AIRF5_SOURCES = YAML
    out = io.StringIO()
    call_command("sources", stdout=out)
    assert out.getvalue().endswith("AIRF5_SOURCES: 5 sources, 5 created, changed or stopped.\n")


@pytest.mark.parametrize(
    ("allow", "sentence"),
    [
        ("10.0.0.0/8", "must be a list of"),
        ([], "must be a list of"),
        (["10.0.0.1/8"], "has host bits set"),
        (["prod"], "'prod' is none"),
        ([7], "'7' is none"),
    ],
)
def test_address_ranges_are_checked(sources: Any, allow: Any, sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        sources(AIRFLOW | {"allow": allow})


def test_airf5s_own_secrets_are_no_password_of_a_source(sources: Any) -> None:
    with pytest.raises(CommandError, match="must not name a variable that airf5 itself runs on"):
        sources(AIRFLOW | {"token": "env:AIRF5_SECRET_KEY"})
    sources(AIRFLOW | {"token": "env:AIRF5_SOURCE_PROD"})


@pytest.mark.parametrize(
    "entry",
    [
        AIRFLOW | {"url": "https://ann:s3cret@x.example"},
        AIRFLOW | {"options": {"proxy": "http://ann:s3cret@proxy:3128"}},
        AIRFLOW | {"password": "s3cret"},
        AIRFLOW | {"database": "postgresql://ann:s3cret@db/airflow"},
        DEVICE | {"telemetry": "s3cret"},
        DEVICE | {"url": "https://b.example", "username": "a", "password": "s3cret"},
    ],
)
def test_no_error_shows_what_may_be_a_secret(sources: Any, entry: dict[str, Any]) -> None:
    with pytest.raises(CommandError) as error:
        sources(entry)
    assert "s3cret" not in str(error.value)


def test_aliases_that_nest_are_no_danger(sources: Any) -> None:
    nested = ", ".join(f"&b{n} [{', '.join([f'*b{n - 1}'] * 9)}]" for n in range(1, 20))
    with pytest.raises(CommandError, match=r"sender .* must be an IP address") as error:
        sources(text=f"- {{kind: device, name: a, sender: [&b0 [x, x], {nested}]}}")
    assert len(str(error.value)) < 1000


def test_a_device_with_its_icontrol_rest(sources: Any) -> None:
    rest = {"url": "https://bigip-1.example.com", "username": "airf5", "password": "env:BIGIP_PASSWORD"}
    assert "bigip-1/rest: created" in sources(DEVICE | rest | {"calls_per_minute": 20, "verify": "/etc/ca.pem"})
    assert Feed.objects.get(name="bigip-1/rest").config == {
        "base_url": "https://bigip-1.example.com", "username": "airf5", "password": "env:BIGIP_PASSWORD",
        "calls_per_minute": 20, "verify": "/etc/ca.pem",
    }  # fmt: skip
    assert "0 created, changed or stopped" in sources(DEVICE | rest | {"calls_per_minute": 20, "verify": "/etc/ca.pem"})
    alone = {"kind": "device", "name": "bigip-9"} | rest  # its logs may come by another way, or not at all
    assert "bigip-9/rest: created" in sources(alone)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"url": "https://b.example.com"}, "username is missing"),
        ({"url": "https://b.example.com", "username": "a"}, "password is missing"),
        ({"url": "https://b.example.com", "username": "a", "password": "hunter2"}, "must be env:NAME or file:/path"),
        ({"calls_per_minute": 5}, "from 6 to 600"), ({"calls_per_minute": True}, "from 6 to 600"),
        ({"verify": "yes"}, "true, false or the absolute path"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_icontrol_rest(sources: Any, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(CommandError, match=says) as caught:
        sources(DEVICE | fields)
    assert "hunter2" not in str(caught.value)


def test_an_airflow_can_be_read_by_rest_from_its_database_or_both(sources: Any) -> None:
    told = sources(
        AIRFLOW | {"database": "env:DB", "api": "v1", "auth": "bearer"},
        {"kind": "airflow", "name": "tables", "database": "file:/run/secrets/db", "poll_seconds": 60},
    )
    assert "prod/database: created" in told and "tables/database: created" in told
    by_rest = Feed.objects.get(name="prod")
    assert (by_rest.config["api"], by_rest.config["auth"], by_rest.config["tries_from"]) == ("v1", "bearer", "database")
    assert Airflow.objects.get(name="prod").feeds.count() == 2
    (alone,) = Airflow.objects.get(name="tables").feeds.all()
    assert (alone.kind, alone.config) == ("airflow_db", {"database": "file:/run/secrets/db", "poll_s": 60})
    assert Airflow.objects.get(name="prod").url == AIRFLOW["url"]
    assert "prod/database: unchanged" in sources(AIRFLOW | {"database": "env:DB", "api": "v1", "auth": "bearer"})


def test_an_airflow_without_url_and_database_is_refused(sources: Any) -> None:
    with pytest.raises(CommandError, match="url is missing, and so is database"):
        sources({"kind": "airflow", "name": "b"})
