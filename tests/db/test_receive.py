"""What reaches the receiver stands in the right file, each message once, whatever its framing."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
from pathlib import Path

import pytest

from ingest import receive
from ingest.parsers.f5_header import split_spool
from ingest.receive import Frames, Receiver, Spool, visible
from ingest.sources import receiver_report
from ingest.streams import kind_of

REQUEST = b'airf5="1",kind="request",ts="1795339510.052000",http_uri="/auth/token"'
LTM = b"<133>Nov 22 09:25:35 lb1 notice mcpd[6896]: 01070639:5: Pool /Common/p member /Common/m:1 session status"
AUDIT = b"<133>Nov 22 09:25:35 bigip-lab-1 notice tmsh[20411]: 01420002:5: AUDIT - pid=20411 user=admin"


def counted(message: bytes) -> bytes:
    return b"%d %s" % (len(message), message)


def test_framing_is_told_for_each_message_however_the_bytes_are_split() -> None:
    many_lines = LTM + b"\nwith a second line"
    stream = LTM + b"\n" + counted(many_lines) + REQUEST + b"\n" + counted(REQUEST) + b"\n200 GET /x\n" + counted(AUDIT)
    expected = [LTM, many_lines, REQUEST, REQUEST, b"200 GET /x", AUDIT]
    assert [message for message, _ in Frames().feed(stream)] == expected
    for place in range(len(stream)):
        frames = Frames()
        got = frames.feed(stream[:place]) + frames.feed(stream[place:])
        assert [message for message, _ in got] == expected, place
    frames, got = Frames(), []
    for byte in stream:
        got += frames.feed(bytes([byte]))
    assert [message for message, _ in got] == expected


@pytest.mark.parametrize("framed", [True, False])
def test_a_message_that_is_too_long_is_cut_and_the_next_one_is_whole(framed: bool) -> None:
    long = b"<13>" + b"x" * (3 * receive.LONGEST_MESSAGE)
    stream = (counted(long) if framed else long + b"\n") + LTM + b"\n"
    frames, got = Frames(), []
    for start in range(0, len(stream), 10_000):
        got += frames.feed(stream[start : start + 10_000])
    assert [(len(message), cut) for message, cut in got] == [(receive.LONGEST_MESSAGE, True), (len(LTM), False)]


def test_a_message_without_its_end_counts_when_the_connection_ends() -> None:
    frames = Frames()
    assert frames.feed(REQUEST) == []
    assert frames.rest() == [(REQUEST, False)]


def test_each_message_goes_to_its_stream_by_what_a_client_cannot_write() -> None:
    assert kind_of(REQUEST) == "request"
    assert kind_of(b"<134>Nov 22 09:25:35 lb1 " + REQUEST) == "request"
    assert kind_of(b"10.1.1.1 GET /AUDIT 200") == "request"
    assert kind_of(LTM) == "ltm"
    assert kind_of(AUDIT) == "audit"


@pytest.mark.parametrize(
    "message",
    [
        b'{"timestamp": "2026-11-22T09:25:35Z", "client-ip": "10.0.0.1", "method": "GET", "uri": "/x"}',
        b"<190>,f5_irule=Splunk-iRule-HTTP,src_ip=10.0.0.1,vip=10.0.0.2,http_method=GET",
        b"<166>Nov 22 09:25:35 lb1,f5_irule=Splunk-HSL-iRule-LB_FAILED,src_ip=10.0.0.1",
        b'<133>1 2026-11-22T09:25:35.570Z lb1.example.net f5LTM - ID2 [srcip="10.0.0.1" method="GET"',
        b'<111>1 2026-11-22T09:25:35+00:00 lb1 F5 - access_json - {"event_type":"HTTP_REQUEST"}',
        b"<134>CEF:0|F5|BIG-IP|||HTTP Request|Low| src=10.0.0.1",
        b"<134>Nov 22 09:25:10 lb1 info tmm1[16963]: Rule /Common/log <HTTP_RESPONSE>: virtual=/Common/vs client_ip=10.9.9.9",
    ],
)
def test_a_request_log_with_a_priority_is_no_syslog(message: bytes) -> None:
    assert kind_of(message) == "request"


def test_what_another_irule_logs_of_a_client_stays_in_the_ltm_log() -> None:
    said = b"<134>Nov 22 09:25:10 lb1 info tmm1[1]: Rule /Common/r <HTTP_REQUEST>: URI: /?virtual=/Common/vs client_ip=1.2.3.4"
    assert kind_of(said) == "ltm"


def test_a_further_line_goes_where_its_first_line_went(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    error = b"<131>Nov 22 09:25:35 lb1 err tmm[1]: 01220001:3: TCL error: /Common/r <HTTP_REQUEST> - no"
    spool.put(
        "10.0.0.9", [(error, False), (b"    invoked from within", False), (REQUEST, False), (b" 200 GET /x", False)]
    )
    spool.close()
    assert [line.split(b" ", 2)[2] for line in lines_of(tmp_path, "10.0.0.9", "ltm")] == [
        error,
        b"    invoked from within",
    ]
    assert len(lines_of(tmp_path, "10.0.0.9", "request")) == 2


def test_line_ends_and_nul_are_shown() -> None:
    assert visible(b"a\nb\rc\x00d\r\n") == b"a\\nb\\rc\\0d"


def lines_of(root: Path, sender: str, kind: str) -> list[bytes]:
    return [line for path in sorted((root / sender).glob(f"{kind}-*.log")) for line in path.read_bytes().splitlines()]


def test_messages_over_tcp_and_udp_are_on_the_disk_when_it_ends(tmp_path: Path) -> None:
    async def scene() -> None:
        receiver = Receiver(Spool(tmp_path), "127.0.0.1", 0)
        await receiver.start()
        _, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
        writer.write(b"".join(REQUEST + b"\n" for _ in range(500)) + counted(LTM) + AUDIT + b"\n")
        await writer.drain()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            for _ in range(5):
                udp.sendto(AUDIT, ("127.0.0.1", receiver.port))
        while receiver.spool.status.received < 507:
            await asyncio.sleep(0.01)
        writer.close()
        await receiver.stop()

    asyncio.run(asyncio.wait_for(scene(), 20))
    assert len(lines_of(tmp_path, "127.0.0.1", "request")) == 500
    assert len(lines_of(tmp_path, "127.0.0.1", "ltm")) == 1
    assert len(lines_of(tmp_path, "127.0.0.1", "audit")) == 6
    spooled = split_spool(lines_of(tmp_path, "127.0.0.1", "ltm")[0].decode())
    assert spooled is not None and (spooled.sender, spooled.message) == ("127.0.0.1", LTM.decode())
    assert json.loads((tmp_path / "receiver.json").read_text())["written"] == 507


def test_strangers_cannot_fill_the_disk_with_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "MOST_SENDERS", 2)
    spool = Spool(tmp_path)
    for number in range(4):
        spool.put(f"10.0.0.{number}", [(LTM, False)])
    spool.close()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["10.0.0.0", "10.0.0.1"]
    assert spool.status.dropped == spool.status.refused_senders == 2


def test_a_full_disk_is_said_and_loses_nothing_of_tcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool, write, room = Spool(tmp_path), os.write, [40]

    def short_write(fd: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        step = min(room[0], len(data))
        room[0] -= step
        return write(fd, data[:step])

    monkeypatch.setattr(os, "write", short_write)
    spool.put("10.0.0.1", [(LTM, False), (LTM, False)])
    spool.flush()
    assert spool.status.disk_full and "No space" in spool.status.message
    room[0] = 10_000
    spool.close()
    assert not spool.status.disk_full and spool.held == 0
    lines = lines_of(tmp_path, "10.0.0.1", "ltm")
    assert len(lines) == 2 and all(line.endswith(LTM) for line in lines)


def test_what_could_not_be_synced_is_synced_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool, synced, works = Spool(tmp_path), list[str](), [False]
    real = os.fsync

    def fsync(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if path.endswith(".log") and not works[0]:
            raise OSError(errno.EIO, "Input/output error")
        synced.append(Path(path).name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    spool.put("10.0.0.1", [(LTM, False)])
    spool.flush()
    assert synced == ["10.0.0.1", tmp_path.name]  # the names of the new file and of its folder
    for _ in range(2):  # who asks again is not told that it is on the disk
        with pytest.raises(OSError, match="Input/output"):
            spool.sync()
    works[0] = True
    spool.sync()
    assert synced[2].startswith("ltm-")
    spool.close()


def test_datagrams_that_the_kernel_dropped_are_written_down_and_an_open_connection_too(tmp_path: Path) -> None:
    sent = 3000

    async def scene() -> int:
        receiver = Receiver(Spool(tmp_path), "127.0.0.1", 0)
        await receiver.start()
        _, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
        writer.write(REQUEST + b"\n")
        await writer.drain()
        while not receiver.spool.status.received:
            await asyncio.sleep(0.01)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            for _ in range(sent):  # nobody reads meanwhile
                udp.sendto(REQUEST + b" " * 900, ("127.0.0.1", receiver.port))
        for _ in range(30):
            await asyncio.sleep(0.01)
        receiver.spool.status.udp_dropped = receiver_report.udp_drops(receiver.port)
        receiver.spool.report()
        beat = receiver_report.read([f"{tmp_path}/127.0.0.1/request*.log"])
        assert beat is not None and beat.is_connected("f5_request") and not beat.is_connected("f5_ltm")
        losses, _ = beat.losses(0)  # two where a report of its own came in between
        assert {(loss.kind, loss.senders) for loss in losses} == {("udp", ("127.0.0.1",))}
        lost = sum(loss.count or 0 for loss in losses)
        writer.close()
        while receiver.spool.status.sender("127.0.0.1").open["request"]:
            await asyncio.sleep(0.01)
        received = receiver.spool.status.sender("127.0.0.1").udp
        await receiver.stop()
        return received + lost

    assert asyncio.run(asyncio.wait_for(scene(), 20)) == sent
