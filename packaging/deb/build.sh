#!/bin/sh
# Makes a Debian package of one executable and its systemd unit.
#
#   packaging/deb/build.sh EXECUTABLE VERSION ARCHITECTURE FOLDER [UNIT]
#
# ARCHITECTURE is dpkg's word (amd64, arm64). UNIT is the file of the unit; without it the executable prints its own.
# The same input gives the same bytes: set SOURCE_DATE_EPOCH.
set -eu
umask 022

[ $# -ge 4 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
executable=$1 version=$2 architecture=$3 folder=$4 unit=${5:-}
here=$(cd "$(dirname "$0")" && pwd)
project=$here/../..
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(date +%s)}"

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"
install -d "$tree/DEBIAN" "$tree/etc/ganglion" "$tree/usr/lib/systemd/system" "$tree/usr/share/doc/ganglion"
install -D -m 755 "$executable" "$tree/usr/bin/ganglion"
install -m 644 "$project/config.example.toml" "$tree/etc/ganglion/config.toml"
if [ -n "$unit" ]; then cat "$unit"; else "$executable" install --print --program /usr/bin/ganglion; fi >"$tree/unit"
{
    echo "# Of the package ganglion. Settings of your own go into a drop-in: systemctl edit ganglion"
    sed '/^# Written by `ganglion install`/d' "$tree/unit"
} >"$tree/usr/lib/systemd/system/ganglion.service"
rm "$tree/unit"
cat "$project/LICENSE-MIT" "$project/LICENSE-APACHE" >"$tree/usr/share/doc/ganglion/copyright"

size=$(du -sk --apparent-size "$tree" | cut -f1)
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SIZE@/$size/" \
    -e "s/@MAINTAINER@/${MAINTAINER:-Ganglion <ganglion@localhost>}/" "$here/control" >"$tree/DEBIAN/control"
echo /etc/ganglion/config.toml >"$tree/DEBIAN/conffiles"
for script in postinst prerm postrm; do install -m 755 "$here/$script" "$tree/DEBIAN/$script"; done
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

mkdir -p "$folder"
dpkg-deb --root-owner-group -Zxz --build "$tree" "$folder/ganglion_${version}_${architecture}.deb" >&2
echo "$folder/ganglion_${version}_${architecture}.deb"
