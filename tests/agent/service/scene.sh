# A systemd of its own, in name spaces of its own: nothing of it is seen outside, and nothing of it is left.
# Arguments: a home, a free name for the control group, the ganglion command.
set -e
home=$1 group=$2 program=$3
mount -t tmpfs tmpfs /run
mkdir -p /run/user/0 /run/systemd/system
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$group"
echo $$ >"/sys/fs/cgroup/$group/cgroup.procs"
export XDG_RUNTIME_DIR=/run/user/0 HOME="$home"
unset XDG_CONFIG_HOME XDG_DATA_HOME DBUS_SESSION_BUS_ADDRESS
/lib/systemd/systemd --user --unit=basic.target --log-target=null &
manager=$!
for _ in $(seq 50); do [ -S /run/user/0/systemd/private ] && break; sleep 0.1; done
echo started
"$program" install --user 2>&1
systemctl --user show -p ActiveState -p SubState -p StatusText -p NRestarts -p WatchdogUSec ganglion
"$program" doctor --json
# Somebody holds the database: nothing can be committed.
python3 - "$home/.local/share/ganglion/ganglion.db" <<'P'
import sqlite3, subprocess, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
ask = ["systemctl", "--user", "show", "-p", "NRestarts", "--value", "ganglion"]
for _ in range(150):
    if subprocess.run(ask, capture_output=True, text=True).stdout.strip() != "0":
        break
    time.sleep(0.1)
db.execute("ROLLBACK")
P
for _ in $(seq 100); do systemctl --user is-active -q ganglion && break; sleep 0.1; done
systemctl --user show -p ActiveState -p NRestarts ganglion
systemctl --user stop ganglion
systemctl --user show -p ActiveState -p Result ganglion
"$program" uninstall --user 2>&1
systemctl --user show -p LoadState ganglion
kill $manager
wait $manager || true
