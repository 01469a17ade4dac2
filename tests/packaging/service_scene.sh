# A systemd of its own as the first process, in name spaces of its own: nothing of it is seen outside, and nothing is left.
# Arguments: a free name for the control group, the executable, a folder with `inside.sh`, which it runs.
set -e
group=$1 program=$2 folder=$3
mount -t tmpfs tmpfs /run
mkdir /run/etc /run/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work /etc
for place in /var/lib /var/cache /usr/local /etc/systemd/system /lib/systemd/system/*.target.wants; do
    mount -t tmpfs tmpfs "$place"
done
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$group"
echo $$ >"/sys/fs/cgroup/$group/cgroup.procs"
mkdir /usr/local/bin
cp "$program" /usr/local/bin/ganglion
cat >/etc/systemd/system/scene.service <<U
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/sh $folder/inside.sh $folder
StandardOutput=file:$folder/out
StandardError=file:$folder/err
U
export container=test
exec unshare --cgroup /lib/systemd/systemd --system --unit=scene.service --log-target=null
