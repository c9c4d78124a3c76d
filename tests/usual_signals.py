"""Signals as a terminal has them."""

import signal

__all__ = ["use_usual_signals"]


def use_usual_signals() -> None:
    """Hear Ctrl-C and SIGHUP, also in programs that this one starts.

    A shell starts what it puts in the background deaf to Ctrl-C, and nohup what it starts to
    SIGHUP. Programs inherit that, and tests send both to programs of theirs.
    """
    for number, usual in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
