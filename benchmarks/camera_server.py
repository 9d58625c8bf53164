"""A camera that is not there: sends a video over HTTP as MPEG-TS, in its own time, for ever.

    python -m benchmarks.camera_server VIDEO

prints the port; every address on it is a camera of its own. It is a process of its own, so that
what it costs is not counted as the watch's.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import av


class Camera(BaseHTTPRequestHandler):
    """Sends the server's video, again and again, until nobody listens any more."""

    server: Server

    def do_GET(self) -> None:  # noqa: N802 (the library's name)
        """The stream."""
        self.send_response(200)
        self.send_header("Content-Type", "video/mp2t")
        self.end_headers()
        options = {"flush_packets": "1"}
        try:
            with (
                av.open(self.server.video) as video,
                av.open(self.wfile, "w", format="mpegts", options=options) as sent,
            ):
                stream = sent.add_stream_from_template(video.streams.video[0])
                for packet in in_time(video):
                    packet.stream = stream
                    sent.mux(packet)
        except (OSError, av.error.FFmpegError):
            return  # the watch has gone

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


class Server(ThreadingHTTPServer):
    """Serves one video at any free port of this machine."""

    daemon_threads = True

    def __init__(self, video: str) -> None:
        super().__init__(("127.0.0.1", 0), Camera)
        self.video = video


def in_time(video: Any) -> Iterator[Any]:
    """The packets of a video, each when it is due, with time stamps that go on for ever."""
    stream = video.streams.video[0]
    begin, played = time.monotonic(), 0
    while True:
        end = 0
        for packet in video.demux(stream):
            if packet.dts is None:
                continue
            end = max(end, packet.pts + packet.duration)
            packet.pts += played
            packet.dts += played
            due = begin + float(packet.dts * packet.time_base)
            time.sleep(max(0.0, due - time.monotonic()))
            yield packet
        played += end
        video.seek(0)


if __name__ == "__main__":
    with Server(sys.argv[1]) as server:
        print(server.server_port, flush=True)
        server.serve_forever()
