"""Telling systemd that relay is ready, alive or stopping (sd_notify); silent when no NOTIFY_SOCKET is set."""

import os
import socket


def notify(state: str) -> None:
    """Send one state line (`READY=1`, `WATCHDOG=1`, `STOPPING=1`, `RELOADING=1`). A socket that is gone is no error."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.connect("\0" + address[1:] if address.startswith("@") else address)
            sender.sendall(state.encode())
    except OSError:
        return


def watchdog_s() -> float:
    """Half the watchdog's period, how often to send WATCHDOG=1; 0: there is none."""
    period = os.environ.get("WATCHDOG_USEC", "")
    return int(period) / 2_000_000 if period.isdigit() else 0.0
