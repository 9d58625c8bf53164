"""A camera for tests: sends an H.264 MP4 file as it is, by RTSP, to each client from its begin.

Run by the system's Python, which has GStreamer: ``rtsp_server.py FILE [--port N] [--login U:P]``;
prints its URL when it listens.
"""

from __future__ import annotations

import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer

# No config-interval: rtph264pay would repeat SPS and PPS within a frame of several slices, and a
# client would take its parts for frames.
PIPELINE = (
    '( filesrc location="{file}" ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 )'
)


def main() -> None:
    """Listen until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--port", default="0")
    parser.add_argument("--login", help="user:password that a client must give")
    options = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE.format(file=options.file))
    if options.login:
        _ask_login(server, factory, *options.login.split(":", 1))
    server.get_mount_points().add_factory("/stream", factory)
    if not server.attach(None):
        sys.exit(f"port {options.port} is taken")
    print(f"rtsp://127.0.0.1:{server.get_bound_port()}/stream", flush=True)
    GLib.MainLoop().run()


def _ask_login(server: object, factory: object, user: str, password: str) -> None:
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
    auth = GstRtspServer.RTSPAuth()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    role = Gst.Structure.new_empty("viewer")
    for right in ("media.factory.access", "media.factory.construct"):
        role.set_value(right, True)
    factory.add_role_from_structure(role)


if __name__ == "__main__":
    main()
