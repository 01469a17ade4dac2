"""The agent as a service of the machine: what its supervisor is told, and how it is installed.

supervisor.py    the datagrams of sd_notify: ready, stopping, what it does
watchdog.py      the sign of life, as long as the event loop turns and the database commits
program.py       the executable that a service runs: the one that runs now
unit.py          the text of the systemd unit
init_script.py   the same for OpenRC, procd (OpenWrt) and sysv (BusyBox)
installation.py  what an installation changes, step by step; uninstalling too
step.py          a file written, a file removed, a command run
standing.py      whether an agent runs as a service, and where things are, for doctor
"""
