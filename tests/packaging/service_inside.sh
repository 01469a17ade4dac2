# What root does on a machine with systemd, and what is to be seen; each part under a headline. Argument: a folder with
# config.toml, good/FILE and bad/FILE (signed executables), into which the agent's log is written.
folder=$1
ganglion=/usr/local/bin/ganglion
show() { systemctl show -p ActiveState -p SubState -p StatusText -p NRestarts -p WatchdogUSec ganglion; }
restarts() { systemctl show -p NRestarts --value ganglion; }
main() { systemctl show -p MainPID --value ganglion; }
answers() { $ganglion status --json --data-dir /var/lib/ganglion >/dev/null 2>&1; }
until_so() { for _ in $(seq 300); do "$@" && return; sleep 0.1; done; echo "never: $*"; }
restarted() { [ "$(restarts)" = "$1" ] && answers; }

mkdir -p /etc/ganglion /etc/systemd/system/ganglion.service.d
cp "$folder/config.toml" /etc/ganglion/config.toml
cat >/etc/systemd/system/ganglion.service.d/test.conf <<U
[Service]
WatchdogSec=3
TimeoutAbortSec=1
RestartSec=0
StandardError=append:$folder/log
U
echo "== install"
$ganglion install 2>&1
show
$ganglion install --dry-run 2>&1
echo "== process"
grep -E "^(Uid|NoNewPrivs|Seccomp|CapEff):" "/proc/$(main)/status"
readlink "/proc/$(main)/exe"
echo "== security"
systemd-analyze security --no-pager ganglion | tail -1
systemd-analyze verify ganglion.service 2>&1
echo "== doctor"
$ganglion doctor --json --config /etc/ganglion/config.toml --data-dir /var/lib/ganglion
echo "== the database takes no commits"
python3 "$folder/hold.py" /var/lib/ganglion/ganglion.db
until_so restarted 1
show
echo "== the process hangs"
kill -STOP "$(main)"
until_so restarted 2
show
echo "== a bad version"
$ganglion self-update --config /etc/ganglion/config.toml --data-dir /var/lib/ganglion --steady 1s --within 5s "$(ls "$folder"/bad/* | head -1)" 2>&1
$ganglion --version | head -1
show
echo "== a good version"
$ganglion self-update --config /etc/ganglion/config.toml --data-dir /var/lib/ganglion --steady 1s "$(ls "$folder"/good/* | head -1)" 2>&1
$ganglion --version | head -1
show
echo "== stop"
systemctl stop ganglion
systemctl show -p ActiveState -p Result ganglion
echo "== uninstall"
$ganglion uninstall 2>&1
systemctl show -p LoadState ganglion
ls -A /var/lib/private /var/cache/private /etc/ganglion /.cache /.local 2>/dev/null
find /etc/systemd/system -name "ganglion*"
echo "== end"
systemctl exit
