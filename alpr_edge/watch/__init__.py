"""Cameras, videos and folders: sources → hub → tracks → events → outputs (extra ``watch``).

    source (a thread each) ─ newest frame ─┐
    source (a thread each) ─ newest frame ─┼─ Hub: fair turns, one compiled model ─ plates
                                           │
    plates → Tracker → vote → Event → Store (durable) → outputs: lines, MQTT, webhook, page

:mod:`alpr_edge.watch.types` has the values that pass between them, :mod:`alpr_edge.watch.config`
everything that can be configured.
"""
